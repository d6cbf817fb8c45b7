// Package runtime is the seam between activities and a container engine: what
// mcp asks of one, in mcp's own words. runtime/podman drives a real one; Fake
// is an engine in memory that passes the same contract test.
package runtime

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// Labels that every container of mcp's bears.
const (
	LabelService    = "mcp.service"
	LabelComponent  = "mcp.component"
	LabelDeployment = "mcp.deployment" // the number of the deployment that made the container
	LabelSpec       = "mcp.spec"       // a hash of all that would need a new container
)

// Runtime is one host's container engine. Every method may be called twice:
// it looks first and does only what is missing. Errors are *fault.Error:
// Unavailable when the engine cannot be reached, NotFound, Conflict (a name is
// taken), PortInUse, Unauthorized, Invalid. A method whose context ends
// returns the context's error.
type Runtime interface {
	// Build makes an image from a Containerfile and tags it. A source that
	// does not build is Invalid; the error carries the failing STEP and the
	// last lines of output.
	Build(ctx context.Context, spec BuildSpec) (imageID string, err error)
	// Push copies a local image to its image registry. A tag that is not
	// here is NotFound.
	Push(ctx context.Context, spec PushSpec) error
	// ImageExists reports whether an image is in local storage.
	ImageExists(ctx context.Context, image string) (bool, error)
	// Pull fetches an image, by tag or digest, unless a digest is here
	// already. A missing one is NotFound.
	Pull(ctx context.Context, spec PullSpec) error
	// RemoveImage untags a local image; one that is not here is no error.
	RemoveImage(ctx context.Context, image string) error
	// PruneImage takes a name, a tag or a digest, from a local image, and frees
	// the image with its last name; it reports whether it did. It leaves alone
	// an image that is not here under that very name, or that a container uses,
	// running or not, and every other name and image.
	PruneImage(ctx context.Context, image string) (pruned bool, err error)

	// Run creates and starts a container and returns its id. When a container
	// of that name exists with the same deployment and spec labels, it is
	// started if need be and returned, or replaced if it publishes other
	// ports; with other labels it is a Conflict. A container that could not be
	// started is removed again. A missing image is NotFound; an unknown user
	// or command is Invalid.
	Run(ctx context.Context, spec ContainerSpec) (id string, err error)
	// Start starts a stopped container; a running one is left alone. When a
	// Stop that was cut off is still under way, Start waits for its end first.
	Start(ctx context.Context, name string) error
	// Stop stops a container, killing it after timeout. One that does not run
	// or does not exist is no error.
	Stop(ctx context.Context, name string, timeout time.Duration) error
	// Remove removes a container, running or not, with its anonymous volumes.
	// One that does not exist is no error.
	Remove(ctx context.Context, name string) error
	// Rename gives a container another name. A name that is taken is a
	// Conflict.
	Rename(ctx context.Context, from, to string) error
	// Inspect describes one container; NotFound if there is none.
	Inspect(ctx context.Context, name string) (ContainerInfo, error)
	// List describes all containers, running or not, that bear every one of
	// the given labels; an empty value asks for the label alone.
	List(ctx context.Context, labels map[string]string) ([]ContainerInfo, error)
	// Summaries are what List tells, in short, of those containers that are
	// selected. They are one call of the engine, however many containers there
	// are, where List is one for each.
	Summaries(ctx context.Context, s Selection) ([]ContainerSummary, error)
	// Logs gives each the lines of a container's output that the query selects,
	// oldest first, until each returns false. A follow goes on as lines come,
	// and ends when the container does not run.
	Logs(ctx context.Context, name string, q LogQuery, each func(LogLine) bool) error
	// Exec runs a command in a running container. When ctx ends its answer is
	// not waited for, but the command may go on in the container.
	Exec(ctx context.Context, name string, cmd []string) (ExecResult, error)
	// Secrets are the names of the secrets that it keeps.
	Secrets(ctx context.Context) ([]string, error)
	// Version is the engine's name and version: "podman 4.3.1".
	Version(ctx context.Context) (string, error)
	// Info is what the engine says of itself. It may be as old as this version
	// of the engine.
	Info(ctx context.Context) (EngineInfo, error)
}

// EngineInfo is what an engine says of itself.
type EngineInfo struct {
	// Version is as Runtime.Version has it.
	Version string
	// Storage is the directory that holds images and containers.
	Storage string
	// Network is the network backend, "netavark" or "cni".
	Network string
	// Cgroups is the version of the host's, "v1" or "v2".
	Cgroups string
}

// BuildSpec says what to build.
type BuildSpec struct {
	// Tag is the image reference that the result gets.
	Tag string
	// Context is the absolute path of the build context, and Containerfile
	// that of the file.
	Context       string
	Containerfile string
	// Out gets the build's whole output as it comes; nil drops it.
	Out io.Writer
}

// PushSpec says what to push.
type PushSpec struct {
	Image string
	// Insecure allows plain http and unknown certificates.
	Insecure bool
	// Progress is called now and then with a line that says how far it is;
	// nil for none.
	Progress func(line string)
}

// PullSpec says what to pull.
type PullSpec struct {
	Image    string
	Insecure bool
	Progress func(line string)
}

// ContainerSpec is all that the engine is told about a container to run.
type ContainerSpec struct {
	Name    string
	Image   string
	Command []string
	Env     map[string]string
	Labels  map[string]string
	// Secrets are the engine's, by name: each is a file of that name below
	// /run/secrets.
	Secrets []string
	// SecretEnv maps variables to such secrets.
	SecretEnv map[string]string
	// Volumes are "source:/target[:options]".
	Volumes []string
	// Ports are published on the host.
	Ports []servicedef.Port
	// User is "uid[:gid]" or a name; "" the image's.
	User string
	// Network is "" for the engine's default, "host", "none", or a network's name.
	Network string
	// Restart is "no", "on-failure[:n]", "always" or "unless-stopped".
	Restart string
	// Memory is a limit in bytes, CPUs one in cores; 0 means none.
	Memory int64
	CPUs   float64
	// StopTimeout is how long the container may take to stop.
	StopTimeout time.Duration
}

// State is what a container is doing.
type State string

// The states that mcp tells apart.
const (
	Created State = "created"
	Running State = "running"
	Stopped State = "stopped" // it ran, and has exited
	// Removing is for ever where the engine was killed in mid-removal: such a
	// container holds its name and its ports, never runs again, and can be
	// removed.
	Removing State = "removing"
	Other    State = "other" // paused, stopping
)

// Selection chooses containers: those that bear every one of the labels, where an
// empty value asks for the label alone, and have one of the names. What is empty
// chooses all.
type Selection struct {
	Labels map[string]string
	Names  []string
}

// Selects reports whether a container of that name and with those labels is one of
// them.
func (s Selection) Selects(name string, labels map[string]string) bool {
	for key, value := range s.Labels {
		if has, found := labels[key]; !found || value != "" && has != value {
			return false
		}
	}
	return len(s.Names) == 0 || slices.Contains(s.Names, name)
}

// ContainerSummary is what the engine's list says of a container.
type ContainerSummary struct {
	ID, Name string
	State    State
	Labels   map[string]string
}

// ContainerInfo is what the engine says of a container.
type ContainerInfo struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Image is the reference it was made from; Digest that image's manifest
	// digest where the engine knows it.
	Image  string            `json:"image"`
	Digest string            `json:"digest,omitempty"`
	State  State             `json:"state"`
	Labels map[string]string `json:"labels,omitempty"`
	Ports  []servicedef.Port `json:"ports,omitempty"`
	// Volumes are the paths on the host that are mounted in it. They concern
	// the host alone, and do not travel.
	Volumes []string `json:"-"`
	// Started is when it was last started, from inspect; zero if never.
	Started time.Time `json:"started,omitzero"`
	// Health is the engine's own health status; "" where it has none.
	Health   string `json:"health,omitempty"`
	Restarts int    `json:"restarts"`
	ExitCode int    `json:"exit_code"`
}

// Summary is the description in short.
func (c ContainerInfo) Summary() ContainerSummary {
	return ContainerSummary{ID: c.ID, Name: c.Name, State: c.State, Labels: c.Labels}
}
