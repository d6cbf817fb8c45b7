package runtime

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// The labels of every container that mcp creates.
const (
	LabelService    = "mcp.service"
	LabelComponent  = "mcp.component"
	LabelDeployment = "mcp.deployment" // the number of the deployment that created the container
	LabelRun        = "mcp.run"        // the run of that deployment's workflow, which no other deployment has
	LabelSpec       = "mcp.spec"       // a hash of every setting whose change needs a new container
	LabelAddress    = "mcp.address"    // its address on the network of its service, "10.89.0.17/24"
	LabelHosts      = "mcp.hosts"      // further lines of its /etc/hosts, "10.0.0.7 db.internal;…"
)

// The labels that the container of a task has instead of LabelComponent.
const (
	LabelTask     = "mcp.task"      // the id of the run
	LabelTaskKind = "mcp.task.kind" // "step" or "job"
	LabelTaskName = "mcp.task.name" // the name of the step or the job
)

// Runtime is one host's container engine. Every method may be called twice:
// it checks the current state first and does only what is missing. Errors are
// *fault.Error: Unavailable when the engine cannot be reached, NotFound,
// Conflict (a name is taken), PortInUse, Unauthorized, Invalid. A method whose
// context ends returns the context's error.
type Runtime interface {
	// Build builds an image from a Containerfile and tags it. A source that
	// does not build is Invalid; the error holds the failing STEP and the
	// last lines of output.
	Build(ctx context.Context, spec BuildSpec) (imageID string, err error)
	// Push copies a local image to its image registry. A tag that is not in
	// local storage is NotFound.
	Push(ctx context.Context, spec PushSpec) error
	// ImageExists reports whether an image is in local storage.
	ImageExists(ctx context.Context, image string) (bool, error)
	// Pull fetches an image by tag or digest. A digest that is in local
	// storage is not fetched again. A missing image is NotFound.
	Pull(ctx context.Context, spec PullSpec) error
	// RemoveImage untags a local image. A missing image is not an error.
	RemoveImage(ctx context.Context, image string) error
	// PruneImage removes one name, a tag or a digest, of a local image, and the
	// image with its last name. It reports whether it removed the name. An image
	// that does not have that exact name, or that a container uses, running or
	// not, keeps all its names.
	PruneImage(ctx context.Context, image string) (pruned bool, err error)

	// Run creates and starts a container and returns its id. If a container
	// of that name exists with the same deployment, run and spec labels, Run starts it if
	// necessary and returns it, or replaces it if it publishes other ports; with other
	// labels it is a Conflict. A container that cannot be started is removed. A missing
	// image is NotFound; an unknown user or command is Invalid.
	Run(ctx context.Context, spec ContainerSpec) (id string, err error)
	// Start starts a stopped container; a running one is left alone. If a
	// Stop that was interrupted is still in progress, Start first waits for it
	// to end.
	Start(ctx context.Context, name string) error
	// Stop stops a container, killing it after timeout. A container that does
	// not run or does not exist is not an error.
	Stop(ctx context.Context, name string, timeout time.Duration) error
	// Remove removes a container, running or not, with its anonymous volumes.
	// A missing container is not an error.
	Remove(ctx context.Context, name string) error
	// Rename gives a container another name. A name that is taken is a
	// Conflict.
	Rename(ctx context.Context, from, to string) error
	// Inspect describes one container; NotFound if there is none.
	Inspect(ctx context.Context, name string) (ContainerInfo, error)
	// List describes all containers, running or not, that have every one of
	// the labels; an empty value matches any value of that label.
	List(ctx context.Context, labels map[string]string) ([]ContainerInfo, error)
	// Summaries describes the selected containers more briefly than List. It
	// makes one call to the engine, where List makes one for each container.
	Summaries(ctx context.Context, s Selection) ([]ContainerSummary, error)
	// Logs calls each with the lines of a container's output that the query
	// selects, oldest first, until each returns false. With Follow it continues
	// with new lines, and ends when the container no longer runs.
	Logs(ctx context.Context, name string, q LogQuery, each func(LogLine) bool) error
	// Exec runs a command in a running container. When ctx ends, Exec returns,
	// but the command may continue in the container.
	Exec(ctx context.Context, name string, cmd []string) (ExecResult, error)
	// Check is Exec for a command that must not outlast ctx: when ctx ends, what
	// the command has started is killed. The command has one more variable, MCP_CHECK.
	Check(ctx context.Context, name string, cmd []string) (ExecResult, error)
	// Network describes a network; NotFound if there is none of that name.
	Network(ctx context.Context, name string) (NetworkInfo, error)
	// CreateNetwork creates a bridge network whose containers find one another in the
	// engine's DNS. A name that is taken is a Conflict.
	CreateNetwork(ctx context.Context, spec NetworkSpec) (NetworkInfo, error)
	// RemoveNetwork removes a network. One that a container has, running or not, is a
	// Conflict; a missing one is not an error.
	RemoveNetwork(ctx context.Context, name string) error
	// Secrets describes the engine's secrets, sorted by name.
	Secrets(ctx context.Context) ([]SecretInfo, error)
	// CreateSecret creates a secret, whose value never changes. One of that name with the
	// same labels is left alone; with other labels it is a Conflict. A value that is
	// empty or too large is Invalid.
	CreateSecret(ctx context.Context, spec SecretSpec) error
	// RemoveSecret removes a secret. A missing one is not an error. A container keeps
	// what it has as a file, and no longer starts without what it has as a variable.
	RemoveSecret(ctx context.Context, name string) error
	// Lacks returns what the engine lacks of what a container's settings ask for. What
	// cannot be known before the container is created is not in it.
	Lacks(ctx context.Context, spec ContainerSpec) ([]Lack, error)
	// Version returns the engine's name and version: "podman 4.3.1".
	Version(ctx context.Context) (string, error)
	// Info describes the engine. It may be cached until the engine's version
	// changes.
	Info(ctx context.Context) (EngineInfo, error)
}

// EngineInfo describes an engine.
type EngineInfo struct {
	// Version is what Runtime.Version returns.
	Version string
	// Storage is the directory that holds images and containers.
	Storage string
	// Network is the network backend, "netavark" or "cni".
	Network string
	// Cgroups is the host's version of control groups, "v1" or "v2", and Controllers those
	// that the engine may use: "memory", "pids".
	Cgroups     string
	Controllers []string
	// Rootless is set for an engine that root does not run.
	Rootless bool
	// SELinux, AppArmor and Seccomp are what the host enforces.
	SELinux, AppArmor, Seccomp bool
	// LogDrivers are those that the engine has.
	LogDrivers []string
}

// Lack is a setting that an engine cannot apply.
type Lack struct {
	// Key is the definition's: "gpus", "ulimits.nofile".
	Key string `json:"key"`
	// Reason completes "the engine …": "has no device nvidia.com/gpu=all".
	Reason string `json:"reason"`
	// Hint is what an operator can do; it may be empty.
	Hint string `json:"hint,omitempty"`
}

// BuildSpec specifies a build.
type BuildSpec struct {
	// Tag is the image reference that the result gets.
	Tag string
	// Context and Containerfile are absolute paths.
	Context       string
	Containerfile string
	// Only reports whether a file of Context, by its path relative to it, is part of the
	// build; nil means that all are. A directory is if a file in it is.
	Only func(path string) bool
	// Args are values of ARG instructions.
	Args map[string]string
	// Target is the stage to build; "" means the last.
	Target string
	// Secrets are the contents of build secrets, by id. They are not part of the image,
	// and are masked in the output.
	Secrets map[string][]byte
	// Platforms are "os/arch[/variant]". Several make Tag a list of images.
	Platforms []string
	// Contexts are what COPY --from=NAME may read besides stages, by name.
	Contexts map[string]BuildContext
	// CacheFrom and CacheTo are repositories with layers of former builds.
	CacheFrom, CacheTo []string
	// Insecure allows plain http and unknown certificates for the image registries that
	// the build itself reads and writes.
	Insecure bool
	// Labels are added to the image's.
	Labels map[string]string
	// NoCache runs every step again.
	NoCache bool
	// Out receives the build's whole output as it arrives; nil discards it.
	Out io.Writer
}

// BuildContext is a directory or an image that a build reads besides its own context.
type BuildContext struct {
	// Image is a reference; "" if the context is a directory.
	Image string
	// Dir is an absolute path, and Only is as in BuildSpec.
	Dir  string
	Only func(path string) bool
}

// PushSpec specifies a push.
type PushSpec struct {
	Image string
	// Insecure allows plain http and unknown certificates.
	Insecure bool
	// Progress is called from time to time with a line that describes the
	// progress; it may be nil.
	Progress func(line string)
	// Platforms are those that the image was built for, if they are several.
	Platforms []string
	// Sent is called with the digest of the manifest that was sent, which the image
	// registry may replace at once; it may be nil.
	Sent func(digest string)
}

// PullSpec specifies a pull. Its fields are as in PushSpec.
type PullSpec struct {
	Image    string
	Insecure bool
	Progress func(line string)
}

// ContainerSpec specifies a container to run.
type ContainerSpec struct {
	Name    string
	Image   string
	Command []string
	Env     map[string]string
	Labels  map[string]string
	// Secrets are secrets of the engine, each of which the container finds as a file.
	Secrets []servicedef.Secret
	// SecretEnv maps environment variables to names of the engine's secrets.
	SecretEnv map[string]string
	// Volumes are "source:/target[:options]".
	Volumes []string
	// Ports are published on the host.
	Ports []servicedef.Port
	// User is "uid[:gid]" or a name; "" means the image's user.
	User string
	// Network is "" for the engine's default, "host", "none", or a network's name. It has
	// no meaning if Networks has an entry.
	Network string
	// Networks are those that the container is connected to.
	Networks []Attachment
	// Hosts is a file of the host that the container has as /etc/hosts; "" for that of
	// the engine.
	Hosts string
	// Restart is "no", "on-failure[:n]", "always" or "unless-stopped".
	Restart string
	// Memory is a limit in bytes, CPUs in cores; 0 means no limit.
	Memory int64
	CPUs   float64
	// LogSize bounds the container's log on disk, in bytes; an engine may exceed
	// it by a single write, and by what a former run of the container has left there. 0
	// means no bound.
	LogSize int64
	// StopTimeout is how long the container may take to stop; 0 kills it at once.
	StopTimeout time.Duration
	// Container has the settings that the engine applies as they are. Its Files have
	// their contents; its Labels are part of Labels already.
	Container servicedef.Container
}

// Published returns the ports that a container with this spec publishes: none on
// the host's network, where there is nothing to publish, or without a network.
func (s ContainerSpec) Published() []servicedef.Port {
	if s.Network == "host" || s.Network == "none" {
		return nil
	}
	return s.Ports
}

// MatchesLabels reports whether labels are those of a container that the same
// deployment created from the same spec.
func (s ContainerSpec) MatchesLabels(labels map[string]string) bool {
	for _, key := range []string{LabelDeployment, LabelRun, LabelSpec} {
		if labels[key] != s.Labels[key] {
			return false
		}
	}
	return true
}

// Attachment connects a container to a network.
type Attachment struct {
	Network string
	// Aliases are its names in the engine's DNS, beside that of the container.
	Aliases []string
	// Address is the one that it always has there; without one the engine assigns one
	// at each start.
	Address netip.Addr
}

// NetworkSpec specifies a network to create.
type NetworkSpec struct {
	Name   string
	Labels map[string]string
	// Subnet is that of its addresses; without one the engine chooses it.
	Subnet netip.Prefix
}

// NetworkInfo describes a network.
type NetworkInfo struct {
	Name, Driver string
	Labels       map[string]string
	// Subnet is the first one with IPv4 addresses, and Gateway the host's address in it.
	Subnet  netip.Prefix
	Gateway netip.Addr
	// Internal networks do not lead out of the host.
	Internal bool
}

// State is the state of a container.
type State string

// The states that mcp distinguishes.
const (
	Created State = "created"
	Running State = "running"
	Stopped State = "stopped" // ran and has exited
	// Removing is permanent if the engine was killed during the removal: such a
	// container holds its name and its ports, never runs again, and can be
	// removed.
	Removing State = "removing"
	Other    State = "other" // paused, stopping
)

// Alive reports whether a container in this state has a program, which may print: one
// that is stopping has been asked to end, and has not.
func (s State) Alive() bool { return s == Running || s == Other }

// Selection selects the containers that have every one of the labels, where an
// empty value matches any, and one of the names. An empty field selects all.
type Selection struct {
	Labels map[string]string
	Names  []string
}

// Selects reports whether s selects a container with that name and those labels.
func (s Selection) Selects(name string, labels map[string]string) bool {
	for key, value := range s.Labels {
		if has, found := labels[key]; !found || value != "" && has != value {
			return false
		}
	}
	return len(s.Names) == 0 || slices.Contains(s.Names, name)
}

// ContainerSummary describes a container as far as the engine's list does.
type ContainerSummary struct {
	ID, Name string
	// Image is the reference that the container was created from.
	Image  string
	State  State
	Labels map[string]string
	// Ports are published on the host.
	Ports []servicedef.Port
	// Networks are the names of the networks that it is connected to.
	Networks []string
	// ExitCode is that of a Stopped container.
	ExitCode int
}

// ContainerInfo describes a container.
type ContainerInfo struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Image is the reference that the container was created from; Digest is
	// that image's manifest digest where the engine has it.
	Image  string            `json:"image"`
	Digest string            `json:"digest,omitempty"`
	State  State             `json:"state"`
	Labels map[string]string `json:"labels,omitempty"`
	Ports  []servicedef.Port `json:"ports,omitempty"`
	// Networks are the names of the networks that it is connected to.
	Networks []string `json:"networks,omitempty"`
	// Addresses are its IPv4 addresses by network, while it runs. They concern the host
	// alone and are not serialized.
	Addresses map[string]netip.Addr `json:"-"`
	// Volumes are the paths on the host that are mounted in the container. They
	// concern the host alone and are not serialized.
	Volumes []string `json:"-"`
	// PID is the process of the container's program on its host; 0 if it does not
	// run, or the engine cannot know. It concerns the host alone.
	PID int `json:"-"`
	// Started is the time of the last start; zero if never started.
	Started time.Time `json:"started,omitzero"`
	// Finished is when a run last ended; zero while none is known to have ended, as for a
	// container in its first run, and for one whose host lost power during that. An engine
	// may take it from another clock than Started.
	Finished time.Time `json:"finished,omitzero"`
	// Health is the engine's health status; "" if the container has no check.
	Health   string `json:"health,omitempty"`
	Restarts int    `json:"restarts"`
	// ExitCode is how the last run ended, or ExitUnknown.
	ExitCode int `json:"exit_code"`
	// Memory is the limit in bytes; 0 for none.
	Memory int64 `json:"memory,omitempty"`
	// StopTimeout is how long the container may take to stop, in whole seconds.
	StopTimeout time.Duration `json:"stop_timeout,omitempty"`
	// OutOfMemory reports that the kernel killed the program because it used
	// more than Memory, if the engine knows.
	OutOfMemory bool `json:"out_of_memory,omitempty"`
	// Platform is the one that the image is built for, "linux/arm64". It may be
	// set only for a container that exited with an error.
	Platform string `json:"platform,omitempty"`
}

// Summary returns the part of c that a ContainerSummary holds.
func (c ContainerInfo) Summary() ContainerSummary {
	s := ContainerSummary{ID: c.ID, Name: c.Name, Image: c.Image, State: c.State, Labels: c.Labels, Ports: c.Ports, Networks: c.Networks}
	if c.State == Stopped {
		s.ExitCode = c.ExitCode
	}
	return s
}
