package stream_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/stream/streamtest"
)

// refusal is the error with which a stream ends.
func refusal(t *testing.T, client *stream.Client, h stream.Header) *fault.Error {
	t.Helper()
	call, err := client.Call(t.Context(), h)
	if err == nil {
		_, err = call.Receive(io.Discard, io.Discard)
	}
	require.Error(t, err)
	return fault.Of(err)
}

// What the door does not allow reaches no node, and is in no audit; what it allows is in
// the audit with the name that the door knows, and not that which the operator writes.
func TestAllowedAndRecorded(t *testing.T) {
	r := newRig(t, func(h *stream.Hub) {
		h.Allow = func(who identity.Identity, h stream.Header) error {
			if who.Name != "anna" || h.Who != "operator/anna" {
				return fault.New(fault.Unauthorized, "%s may not %s", h.Who, h.Verb)
			}
			return nil
		}
	})
	r.node(t, "rift", func(_ context.Context, a *stream.Accepted) (int, error) {
		switch a.Header.Exec.Command[0] {
		case "fail":
			return 0, fault.New(fault.Forbidden, "not here")
		case "two":
			return 2, nil
		}
		return 0, nil
	})
	h := command("run", "--password", "secret")
	h.Who = "operator/anna"
	require.Equal(t, fault.New(fault.Unauthorized, "operator/berta may not exec"), refusal(t, r.operator(t, "berta"), h))
	require.Empty(t, r.recorded())

	anna := r.operator(t, "anna")
	for i, word := range []string{"run", "two", "fail"} {
		h := command(word, "--password", "secret")
		h.Who = "operator/berta"
		call, err := anna.Call(t.Context(), h)
		if err == nil {
			_, err = call.Receive(io.Discard, io.Discard)
		}
		require.Equal(t, word == "fail", fault.Is(err, fault.Forbidden), err)
		require.Eventually(t, func() bool { return len(r.recorded()) == 2*(i+1) }, time.Minute, time.Millisecond)
	}
	h = command("run")
	h.Node = "orion"
	f := refusal(t, anna, h)
	require.Equal(t, fault.Unavailable, f.Kind)
	require.Contains(t, f.Message, "node orion is not connected")
	require.Eventually(t, func() bool { return len(r.recorded()) == 8 }, time.Minute, time.Millisecond)

	logs := stream.Header{Verb: stream.Logs, Node: "rift", Service: "shop", Component: "app", Logs: &stream.LogsRequest{}}
	h = logs
	h.Node = "orion"
	refusal(t, anna, h)
	var found []string
	for _, e := range r.recorded() {
		require.Equal(t, fleet.Actor{Who: "operator/anna"}, e.Actor)
		require.NotContains(t, e.Detail, "secret")
		found = append(found, strings.Join([]string{e.Verb, e.Subject(), e.Detail, e.Outcome, e.Error}, "|"))
	}
	require.Equal(t, []string{
		"exec|shop/app|run and 2 more||", "exec|shop/app|run and 2 more|succeeded|",
		"exec|shop/app|two and 2 more||", "exec|shop/app|two and 2 more|failed|exit code 2",
		"exec|shop/app|fail and 2 more||", "exec|shop/app|fail and 2 more|failed|not here",
		"exec|shop/app|run||", "exec|shop/app|run|failed|node orion is not connected to this door for streams",
	}, found)
}

// What cannot be recorded does not begin.
func TestUnrecorded(t *testing.T) {
	r := newRig(t, func(h *stream.Hub) {
		h.Audit = func(context.Context, fleet.AuditEntry) error { return errors.New("no audit") }
	})
	r.node(t, "rift", func(context.Context, *stream.Accepted) (int, error) {
		t.Error("it has begun")
		return 0, nil
	})
	require.Contains(t, refusal(t, r.operator(t, "anna"), command("run")).Message, "is not in the audit")
}

// A caller that has no streams hears why, and a node nothing.
func TestRefusedSession(t *testing.T) {
	reason := fault.New(fault.Forbidden, "operator/anna has 1024 open connections").WithHint("end some")
	for _, who := range []identity.Identity{operator("anna"), node("rift")} {
		here, there := net.Pipe()
		refused := make(chan struct{})
		go func() {
			defer close(refused)
			(&stream.Hub{}).Refuse(there, who, reason)
			_ = there.Close()
		}()
		client, err := stream.NewClient(t.Context(), here)
		require.NoError(t, err)
		got := refusal(t, client, command("run"))
		require.Equal(t, who.Role.Person(), got.Kind == fault.Forbidden && got.Message == reason.Message && got.Hint == reason.Hint, got)
		client.Close()
		<-refused
	}
}

// An operator has so many streams at a time, and another one has its own.
func TestTooManyStreams(t *testing.T) {
	r := newRig(t, func(h *stream.Hub) { h.PerPeer, h.All = 2, 3 })
	r.node(t, "rift", func(ctx context.Context, a *stream.Accepted) (int, error) {
		err := a.Start()
		<-ctx.Done()
		return 0, err
	})
	anna, berta := r.operator(t, "anna"), r.operator(t, "berta")
	for _, of := range []*stream.Client{anna, anna, berta} {
		_, err := of.Call(t.Context(), command("wait"))
		require.NoError(t, err)
	}
	require.Contains(t, refusal(t, anna, command("wait")).Message, "operator/anna has 2 streams")
	require.Contains(t, refusal(t, berta, command("wait")).Message, "and the door 3")
}

// A header that is too long, malformed, or asks for what its verb does not have is
// refused by the door, and no node sees it.
func TestHeaderRefused(t *testing.T) {
	r := newRig(t, nil)
	r.node(t, "rift", func(_ context.Context, a *stream.Accepted) (int, error) {
		t.Errorf("the node has %+v", a.Header)
		return 0, nil
	})
	conn, err := r.dial(t.Context(), r.files(t, operator("anna")))
	require.NoError(t, err)
	session, err := yamux.Client(conn, nil)
	require.NoError(t, err)
	defer session.Close()
	good, err := json.Marshal(command("run"))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		length int // 0 for that of the text
		text   string
		says   string
	}{
		"too long":          {stream.MaxHeader + 1, "", "at most 262144"},
		"much too long":     {1 << 31, "", "at most 262144"},
		"none":              {0, "", "0 bytes"},
		"no JSON":           {0, "GET / HTTP/1.1", "invalid character"},
		"two":               {0, string(good) + string(good), "something after it"},
		"an unknown field":  {0, `{"verb":"logs","become":"root"}`, "become"},
		"an unknown verb":   {0, strings.Replace(string(good), `"exec"`, `"su"`, 1), `"su"`},
		"another's request": {0, strings.Replace(string(good), `"verb":"exec"`, `"verb":"logs"`, 1), `"logs"`},
		"a path as node":    {0, strings.Replace(string(good), "rift", "../rift", 1), "no name of a node"},
		"a name too long":   {0, strings.Replace(string(good), "shop", strings.Repeat("x", 64), 1), "no name of a service"},
		"no command":        {0, strings.Replace(string(good), `["run"]`, `[]`, 1), "no command"},
	} {
		opened, err := session.Open()
		require.NoError(t, err)
		length := c.length
		if length == 0 {
			length = len(c.text)
		}
		_, err = opened.Write(append(binary.BigEndian.AppendUint32(nil, uint32(length)), c.text...))
		require.NoError(t, err)
		answer, err := io.ReadAll(opened)
		require.NoError(t, err)
		require.NotEmpty(t, answer, name)
		require.Equal(t, byte(stream.Failure), answer[0], name)
		require.Contains(t, strings.ReplaceAll(string(answer), `\"`, `"`), c.says, name)
		_ = opened.Close()
	}
}

func TestHeaderBounds(t *testing.T) {
	of := stream.Header{Node: "rift", Service: "shop", Component: "app"}
	for name, change := range map[string]func(*stream.Header){
		"lines":   func(h *stream.Header) { h.Verb, h.Logs = stream.Logs, &stream.LogsRequest{Lines: stream.MaxLines + 1} },
		"age":     func(h *stream.Header) { h.Verb, h.Logs = stream.Logs, &stream.LogsRequest{Since: -1} },
		"port":    func(h *stream.Header) { h.Verb, h.Forward = stream.Forward, &stream.ForwardRequest{Port: 65536} },
		"no port": func(h *stream.Header) { h.Verb, h.Forward = stream.Forward, &stream.ForwardRequest{} },
		"a path":  func(h *stream.Header) { h.Verb, h.Copy = stream.CopyFrom, &stream.CopyRequest{Path: "etc"} },
		"a long path": func(h *stream.Header) {
			h.Verb, h.Copy = stream.CopyTo, &stream.CopyRequest{Path: "/" + strings.Repeat("x", 5000)}
		},
		"a zero": func(h *stream.Header) { h.Verb, h.Copy = stream.CopyTo, &stream.CopyRequest{Path: "/a\x00b"} },
		"TERM": func(h *stream.Header) {
			h.Verb, h.Exec = stream.Exec, &stream.ExecRequest{Command: []string{"a"}, Term: strings.Repeat("x", 65)}
		},
		"a task of a command": func(h *stream.Header) {
			h.Verb, h.Exec, h.Task = stream.Exec, &stream.ExecRequest{Command: []string{"a"}}, &fleet.Task{ID: "1", Kind: fleet.JobTask, Name: "app"}
		},
		"a task of another name": func(h *stream.Header) {
			h.Verb, h.Logs, h.Task = stream.Logs, &stream.LogsRequest{}, &fleet.Task{ID: "1", Kind: fleet.JobTask, Name: "web"}
		},
		"no task": func(h *stream.Header) {
			h.Verb, h.Logs, h.Task = stream.Logs, &stream.LogsRequest{}, &fleet.Task{Kind: fleet.JobTask, Name: "app"}
		},
		"marks of no follow": func(h *stream.Header) {
			h.Verb, h.Logs = stream.Logs, &stream.LogsRequest{After: stream.Marks{"1": {}}}
		},
		"a mark of no container": func(h *stream.Header) {
			h.Verb, h.Logs = stream.Logs, &stream.LogsRequest{Follow: true, After: stream.Marks{"../1": {}}}
		},
		"the beginning and marks": func(h *stream.Header) {
			h.Verb, h.Logs = stream.Logs, &stream.LogsRequest{Follow: true, Beginning: true, After: stream.Marks{"1": {}}}
		},
		"two": func(h *stream.Header) {
			h.Verb, h.Exec, h.Forward = stream.Exec, &stream.ExecRequest{Command: []string{"a"}}, &stream.ForwardRequest{Port: 1}
		},
	} {
		h := of
		change(&h)
		require.True(t, fault.Is(h.Check(), fault.Invalid), name)
	}
	r := newRig(t, nil)
	h := command("run", strings.Repeat("x", stream.MaxHeader))
	require.Contains(t, refusal(t, r.operator(t, "anna"), h).Message, "too long")
}

// A frame that is too long, of another side or of the wrong size ends its stream with an
// error, whoever sends it, and nothing else.
func TestFrameRefused(t *testing.T) {
	r := newRig(t, nil)
	frame := func(kind stream.Kind, size uint32, data ...byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{byte(kind)}, size), data...)
	}
	conn, err := r.dial(t.Context(), r.files(t, node("rift")))
	require.NoError(t, err)
	wild, err := yamux.Client(conn, nil) // one that sends what it wants
	require.NoError(t, err)
	defer wild.Close()
	require.Eventually(t, func() bool { return slices.Contains(r.hub.Nodes(), "rift") }, time.Minute, time.Millisecond)
	anna := r.operator(t, "anna")
	for name, c := range map[string]struct {
		sent []byte
		says string
	}{
		"too long":       {frame(stream.Output, stream.MaxFrame+1), "too long"},
		"much too long":  {frame(stream.Lines, 1<<32-1), "too long"},
		"a long note":    {frame(stream.Notice, 9<<10), "too long"},
		"an operator's":  {frame(stream.Input, 1, 'x'), "unknown kind"},
		"an unknown one": {frame(200, 0), "unknown kind"},
		"a short exit":   {frame(stream.Exit, 2, 0, 0), "instead of 4"},
		"half a head":    {[]byte{byte(stream.Output), 0}, "broke off"},
		"half a frame":   {frame(stream.Output, 5, 'x'), "broke off"},
		"nothing":        {nil, "broke off"},
		"no fault":       {frame(stream.Failure, 2, '{', '}'), "cannot be read"},
	} {
		done := make(chan *fault.Error, 1)
		go func() { done <- refusal(t, anna, command("run")) }()
		opened, err := wild.Accept()
		require.NoError(t, err)
		_, err = opened.Write(append(frame(stream.Started, 0), c.sent...))
		require.NoError(t, err)
		require.NoError(t, opened.Close())
		require.Contains(t, (<-done).Message, c.says, name)
	}
	// The session of the operator is whole, and an operator's frame is checked as well.
	conn, err = r.dial(t.Context(), r.files(t, operator("anna")))
	require.NoError(t, err)
	session, err := yamux.Client(conn, nil)
	require.NoError(t, err)
	defer session.Close()
	for name, c := range map[string]struct {
		sent []byte
		says string
	}{
		"too long":       {frame(stream.Input, stream.MaxFrame+1), "too long"},
		"a long signal":  {frame(stream.Signal, 17), "too long"},
		"a node's":       {frame(stream.Exit, 4, 0, 0, 0, 0), "unknown kind"},
		"a short resize": {frame(stream.Resize, 2, 0, 0), "instead of 4"},
	} {
		opened, err := session.Open()
		require.NoError(t, err)
		text, err := json.Marshal(command("run"))
		require.NoError(t, err)
		_, err = opened.Write(append(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...), c.sent...))
		require.NoError(t, err)
		accepted, err := wild.Accept()
		require.NoError(t, err)
		answer, err := io.ReadAll(opened)
		require.NoError(t, err)
		require.Contains(t, string(answer), c.says, name)
		_ = accepted.Close()
		_ = opened.Close()
	}
}

// A node refuses a stream of another node, and input beyond what it has given credit for.
func TestNodeRefuses(t *testing.T) {
	r := newRig(t, nil)
	r.node(t, "rift", func(ctx context.Context, a *stream.Accepted) (int, error) {
		err := a.Start()
		<-ctx.Done()
		if err == nil {
			err = context.Cause(ctx)
		}
		return 0, err
	})
	conn, err := r.dial(t.Context(), r.files(t, operator("anna")))
	require.NoError(t, err)
	session, err := yamux.Client(conn, nil)
	require.NoError(t, err)
	defer session.Close()
	opened, err := session.Open()
	require.NoError(t, err)
	text, err := json.Marshal(command("run"))
	require.NoError(t, err)
	_, err = opened.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	require.NoError(t, err)
	input := append(binary.BigEndian.AppendUint32([]byte{byte(stream.Input)}, stream.MaxFrame), make([]byte, stream.MaxFrame)...)
	for range 2 {
		_, err = opened.Write(input)
		require.NoError(t, err)
	}
	answer, err := io.ReadAll(opened)
	require.NoError(t, err)
	require.Contains(t, string(answer), "broke off")
}

func TestPermit(t *testing.T) {
	reader := identity.Identity{Role: identity.Reader, Name: "eve", Services: []string{"shop"}}
	granted := reader
	granted.Grants = []identity.Grant{identity.Exec}
	logs := stream.Header{Verb: stream.Logs, Node: "rift", Service: "shop", Component: "app", Logs: &stream.LogsRequest{}}
	unlabelled, of := logs, logs
	unlabelled.Unlabelled = true
	of.Service = "bank"
	for _, c := range []struct {
		who     identity.Identity
		h       stream.Header
		allowed bool
	}{
		{operator("anna"), logs, true}, {operator("anna"), command("run"), true}, {operator("anna"), unlabelled, true},
		{reader, logs, true}, {reader, of, false}, {reader, unlabelled, false}, {reader, command("run"), false},
		{granted, command("run"), true}, {granted, stream.Header{Verb: stream.CopyFrom, Service: "shop"}, false},
		{node("rift"), logs, false}, {identity.Identity{Role: identity.Control, Name: "one"}, logs, false}, {identity.Identity{}, logs, false},
	} {
		err := stream.Permit(c.who, c.h)
		require.Equal(t, c.allowed, err == nil, "%s %+v: %v", c.who, c.h, err)
	}
	// The door applies it, and gives a session to nodes and persons only.
	r := newRig(t, nil)
	require.Equal(t, fault.Unauthorized, refusal(t, r.client(t, reader), command("run")).Kind)
	refusal(t, r.client(t, identity.Identity{Role: identity.Builder, Name: "eve"}), logs)
}

// An edge serves its access log, and nothing else; a node of its name is another one.
func TestAnEdgeServesItsAccessLog(t *testing.T) {
	r := newRig(t, nil)
	files := streamtest.Files(t, r.authority, identity.Identity{Role: identity.Edge, Name: "front"})
	streamtest.Node(t, r.hub, stream.Node{
		Name: "front", Role: identity.Edge, Dial: func(ctx context.Context) (net.Conn, error) { return r.dial(ctx, files) },
		Handle: func(_ context.Context, a *stream.Accepted) (int, error) {
			_, err := fmt.Fprintf(a.Stdout(), "%s of %s\n", a.Header.Service, a.Header.Who)
			return 0, err
		},
	})
	require.Empty(t, r.hub.Nodes())
	access := stream.Header{Verb: stream.Access, Edge: "front", Service: "shop", Access: &stream.AccessRequest{Lines: 10}}
	reader := r.client(t, identity.Identity{Role: identity.Reader, Name: "eve", Services: []string{"shop"}})
	call, err := reader.Call(t.Context(), access)
	require.NoError(t, err)
	var text strings.Builder
	_, err = call.Receive(&text, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "shop of reader/eve\n", text.String())
	require.Empty(t, r.recorded(), "to read changes nothing")

	foreign := access
	foreign.Service = "bank"
	require.Contains(t, refusal(t, reader, foreign).Message, "reader/eve may not use the service bank")
	other := access
	other.Edge = "side"
	f := refusal(t, reader, other)
	require.Equal(t, "edge side is not connected to this door for streams", f.Message)
	require.Contains(t, f.Hint, "mcp edge show side")
	anna := r.operator(t, "anna")
	command := command("run")
	command.Node = "front"
	require.Equal(t, "node front is not connected to this door for streams", refusal(t, anna, command).Message)
	for name, change := range map[string]func(*stream.Header){
		"a node":              func(h *stream.Header) { h.Node = "rift" },
		"a component":         func(h *stream.Header) { h.Component = "app" },
		"no edge":             func(h *stream.Header) { h.Edge = "" },
		"too many lines":      func(h *stream.Header) { h.Access = &stream.AccessRequest{Lines: 10001} },
		"another request":     func(h *stream.Header) { h.Access, h.Logs = nil, &stream.LogsRequest{} },
		"two of requests":     func(h *stream.Header) { h.Logs = &stream.LogsRequest{} },
		"a name that is none": func(h *stream.Header) { h.Edge = "../front" },
	} {
		h := access
		change(&h)
		require.Equal(t, fault.Invalid, refusal(t, anna, h).Kind, name)
	}
	command.Node, command.Edge = "rift", "front"
	require.Equal(t, fault.Invalid, refusal(t, anna, command).Kind)
}
