package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// Verb is what a stream is for.
type Verb string

// The verbs.
const (
	Logs Verb = "logs"
	Exec Verb = "exec"
	// CopyFrom and CopyTo carry files as a tar archive.
	CopyFrom Verb = "cp-from"
	CopyTo   Verb = "cp-to"
	// Forward carries one connection.
	Forward Verb = "port-forward"
	// Access carries lines of an access log, from an edge. The other verbs are served by
	// nodes.
	Access Verb = "access"
)

// Changes reports whether the verb can change something, so that it belongs in the audit.
func (v Verb) Changes() bool { return v != Logs && v != Access }

// Header begins a stream.
type Header struct {
	Verb Verb `json:"verb"`
	// Node serves the stream; for the verb Access, Edge does.
	Node string `json:"node"`
	Edge string `json:"edge,omitempty"`
	// Service and Component name the container, whose labels must have them. With the verb
	// Access there is no component.
	Service   string `json:"service"`
	Component string `json:"component"`
	// Unlabelled says that the container has none of mcp's labels, like one that was
	// adopted: then only its name is compared.
	Unlabelled bool `json:"unlabelled,omitempty"`
	// Task is a run of a step or a job, whose output is read instead of that of a component.
	// Component is its name then.
	Task *fleet.Task `json:"task,omitempty"`
	// Who is the operator, as the door knows it: "operator/anna". What an operator writes
	// there is replaced.
	Who string `json:"who,omitempty"`

	// One of these has what the verb needs.
	Logs    *LogsRequest    `json:"logs,omitempty"`
	Exec    *ExecRequest    `json:"exec,omitempty"`
	Copy    *CopyRequest    `json:"copy,omitempty"`
	Forward *ForwardRequest `json:"forward,omitempty"`
	Access  *AccessRequest  `json:"access,omitempty"`
}

// AccessRequest selects the last lines of an access log, and how old these may be; 0 for any
// age.
type AccessRequest struct {
	Lines int           `json:"lines"`
	Since time.Duration `json:"since,omitempty"`
}

// LogsRequest selects lines.
type LogsRequest struct {
	// Lines is how many of the last lines to read, and Since how old these may be; 0 for
	// any age.
	Lines int           `json:"lines"`
	Since time.Duration `json:"since,omitempty"`
	// Follow goes on with new lines. For a task it ends with the program.
	Follow bool `json:"follow,omitempty"`
	// Beginning follows containers from their beginning, and After from where a former
	// stream ended, by their ids. Then Lines and Since select nothing.
	Beginning bool  `json:"beginning,omitempty"`
	After     Marks `json:"after,omitempty"`
}

// Marks are where to go on reading, by the ids of containers.
type Marks = map[string]runtime.LogMark

// ExecRequest is a command.
type ExecRequest struct {
	Command []string `json:"command"`
	// Input says that the command gets what the operator sends.
	Input bool `json:"input,omitempty"`
	// Terminal gives it a terminal, of that size and with that value of TERM.
	Terminal bool   `json:"terminal,omitempty"`
	Size     Size   `json:"size,omitzero"`
	Term     string `json:"term,omitempty"`
}

// CopyRequest names a file or a directory to read; or to write: what is at the top of the
// archive is put at Path, or into the directory of that path.
type CopyRequest struct {
	Path string `json:"path"`
	// Name is that of what is at the top of an archive that is written.
	Name string `json:"name,omitempty"`
}

// ForwardRequest is a port inside a container.
type ForwardRequest struct {
	Port int `json:"port"`
}

const (
	// MaxHeader bounds a header in bytes.
	MaxHeader = 256 << 10
	// MaxLines is how many of the last lines may be asked for.
	MaxLines = 10000
	maxPath  = 4096
	maxTerm  = 64
	// maxMarks is how many containers' output may be continued.
	maxMarks = 100
)

// Target names the container for people: "shop/api"; or, for the verb Access, the service.
func (h Header) Target() string {
	if h.Verb == Access {
		return h.Service
	}
	return h.Service + "/" + h.Component
}

// server returns what serves the stream: "node/rift", "edge/front".
func (h Header) server() string {
	if h.Verb == Access {
		return serverOf(identity.Edge, h.Edge)
	}
	return serverOf(identity.Node, h.Node)
}

func serverOf(role identity.Role, name string) string { return string(role) + "/" + name }

// from names what serves the stream, for people: "node rift".
func (h Header) from() string { return strings.Replace(h.server(), "/", " ", 1) }

// Container is the name of the container.
func (h Header) Container() string {
	if h.Task != nil {
		return h.Task.Container(h.Service)
	}
	return servicedef.ContainerNameFor(h.Service, h.Component)
}

// Detail says what is asked for, as the audit has it. It leaves out arguments of commands,
// which may have a password in them.
func (h Header) Detail() string {
	switch h.Verb {
	case Exec:
		if more := len(h.Exec.Command) - 1; more > 0 {
			return fmt.Sprintf("%s and %d more", h.Exec.Command[0], more)
		}
		return h.Exec.Command[0]
	case CopyFrom:
		return "from " + h.Copy.Path
	case CopyTo:
		return "to " + h.Copy.Path
	case Forward:
		return fmt.Sprintf("port %d", h.Forward.Port)
	}
	return ""
}

// word is a name of a node, a service or a component.
var word = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)

// Check returns an error if no node could serve the header.
func (h Header) Check() error {
	names := map[string]string{"node": h.Node, "service": h.Service, "component": h.Component}
	if h.Verb == Access {
		names = map[string]string{"edge": h.Edge, "service": h.Service}
	}
	for what, name := range names {
		if !word.MatchString(name) {
			return fault.New(fault.Invalid, "%q is no name of a %s", cut(name), what)
		}
	}
	if h.Verb == Access != (h.Edge != "") || h.Verb == Access && (h.Node != "" || h.Component != "" || h.Unlabelled) {
		return fault.New(fault.Invalid, "a stream of the verb %q is not served by edge %q and node %q", cut(string(h.Verb)), cut(h.Edge), cut(h.Node))
	}
	given := 0
	for _, has := range []bool{h.Logs != nil, h.Exec != nil, h.Copy != nil, h.Forward != nil, h.Access != nil} {
		if has {
			given++
		}
	}
	if h.Task != nil && (h.Verb != Logs || !h.Task.Valid() || h.Task.Name != h.Component || h.Unlabelled || h.Logs == nil || h.Logs.Follow != h.Logs.Beginning) {
		return fault.New(fault.Invalid, "a stream of the verb %q has a task that is none of its", cut(string(h.Verb)))
	}
	switch {
	case given != 1:
	case h.Verb == Logs && h.Logs != nil:
		return h.Logs.check()
	case h.Verb == Access && h.Access != nil:
		return checkLast(h.Access.Lines, h.Access.Since)
	case h.Verb == Exec && h.Exec != nil:
		return h.Exec.check()
	case (h.Verb == CopyFrom || h.Verb == CopyTo) && h.Copy != nil:
		return h.Copy.check()
	case h.Verb == Forward && h.Forward != nil:
		if h.Forward.Port < 1 || h.Forward.Port > 65535 {
			return fault.New(fault.Invalid, "%d is no port", h.Forward.Port)
		}
		return nil
	}
	return fault.New(fault.Invalid, "a stream of the verb %q has not what that needs", cut(string(h.Verb)))
}

// containerID is the id of a container, as an engine gives it.
var containerID = regexp.MustCompile(`^[0-9a-zA-Z._-]{1,128}$`)

func (r LogsRequest) check() error {
	if (r.Beginning || len(r.After) > 0) && !r.Follow || r.Beginning && len(r.After) > 0 || len(r.After) > maxMarks {
		return fault.New(fault.Invalid, "output is followed from the beginning, or after at most %d marks", maxMarks)
	}
	for id, mark := range r.After {
		if !containerID.MatchString(id) || mark.Lines < 0 {
			return fault.New(fault.Invalid, "%q has no mark of a container's output", cut(id))
		}
	}
	return checkLast(r.Lines, r.Since)
}

// checkLast returns an error if so many last lines, or lines so old, cannot be asked for.
func checkLast(lines int, since time.Duration) error {
	if lines < 0 || lines > MaxLines || since < 0 {
		return fault.New(fault.Invalid, "%d lines of the last %s cannot be read: at most %d can", lines, since, MaxLines)
	}
	return nil
}

func (r ExecRequest) check() error {
	switch {
	case len(r.Command) == 0 || r.Command[0] == "":
		return fault.New(fault.Invalid, "there is no command to run")
	case len(r.Term) > maxTerm:
		return fault.New(fault.Invalid, "the type of the terminal has more than %d bytes", maxTerm)
	}
	return nil
}

func (r CopyRequest) check() error {
	if strings.ContainsAny(r.Name, "/\x00") || len(r.Name) > maxPath || r.Name == ".." {
		return fault.New(fault.Invalid, "%q is no name of a file", cut(r.Name))
	}
	if !path.IsAbs(r.Path) || len(r.Path) > maxPath || bytes.ContainsRune([]byte(r.Path), 0) {
		return fault.New(fault.Invalid, "%q is no path in a container: it begins with /, and has at most %d bytes", cut(r.Path), maxPath)
	}
	return nil
}

// cut returns a foreign text as an error shows it.
func cut(text string) string { return text[:min(len(text), 100)] }

// writeHeader writes a header, with its length before it.
func writeHeader(to io.Writer, h Header) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(text) > MaxHeader {
		return fault.New(fault.Invalid, "the command is too long: with its arguments it may have %d KiB", MaxHeader>>10)
	}
	_, err = to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

// readHeader reads a header, and checks it. It refuses unknown fields: they ask for
// something that would be left out.
func readHeader(from io.Reader) (Header, error) {
	var h Header
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return h, err
	}
	length := binary.BigEndian.Uint32(size[:])
	if length == 0 || length > MaxHeader {
		return h, fault.New(fault.Invalid, "the header of a stream has %d bytes: at most %d are allowed", length, MaxHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(from, text); err != nil {
		return h, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil {
		return h, fault.Wrap(fault.Invalid, err, "read the header of a stream")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return h, fault.New(fault.Invalid, "the header of a stream has something after it")
	}
	return h, h.Check()
}

// Line is a line of a container's output.
type Line struct {
	runtime.LogLine
	// Container is the one that has printed it, where that waits as a successor.
	Container string `json:"container,omitempty"`
}

// Batch are lines, and the marks after them of the containers that have printed them.
type Batch struct {
	Lines []Line `json:"lines"`
	After Marks  `json:"after,omitempty"`
}

// Origin is a container whose lines are sent.
type Origin struct {
	ID string `json:"id"`
	// Deployment is the one that has created it; 0 if that is not known.
	Deployment int `json:"deployment,omitempty"`
}

// Note is what an operator should know besides lines.
type Note struct {
	// Text is a sentence; "" for none.
	Text string `json:"text,omitempty"`
	// Read says that all lines from before the stream have been sent.
	Read bool `json:"read,omitempty"`
	// Cut says that the first of them are left out, because one answer is bounded.
	Cut bool `json:"cut,omitempty"`
	// Absent says that there is no such container, or that nothing of a task is kept.
	Absent bool `json:"absent,omitempty"`
	// After are the marks after what was read, with Read.
	After Marks `json:"after,omitempty"`
	// Begun is a container whose lines follow, and Ended one that has no more lines, because
	// it was removed.
	Begun *Origin `json:"begun,omitempty"`
	Ended *Origin `json:"ended,omitempty"`
}
