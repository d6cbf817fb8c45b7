package activities

import (
	"io"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/secrets"
)

// QueueControl is the task queue of control workers.
const QueueControl = "control"

// QueueNode is the task queue that only the node's own worker polls.
func QueueNode(node string) string { return "node-" + node }

// QueueBuild is the task queue that only the named builder polls.
func QueueBuild(builder string) string { return "build-" + builder }

// QueueBuildLog is the task queue of the builder for its logs, which do not wait for its
// builds.
func QueueBuildLog(builder string) string { return "buildlog-" + builder }

// Control holds the activities of control workers: all that touch Postgres or an
// image registry.
type Control struct {
	Registry Registry
	Images   ImageRegistry
	Lock     Lock
	Queues   Queues
	// Schedules are those of jobs.
	Schedules Schedules
	// MonitorInterval is how often each node is observed.
	MonitorInterval time.Duration
	// Version is mcp's own.
	Version string
	// Alerts are the destinations of alerts by their names; it may be empty.
	Alerts map[string]Alerter
	// PortRest is how long a released port is kept from being handed out
	// again: the old holder may still be stopping, and a client may still
	// have its address.
	PortRest time.Duration
}

// Node holds the activities of a node's own worker: all that touch its containers.
type Node struct {
	Name    string
	Runtime runtime.Runtime
	Ports   PortFinder
	Probe   Prober
	Host    Host
	// Machine is the host that the worker runs on.
	Machine fleet.Machine
	// Version is mcp's own.
	Version string
	// Publish is the address that routes are published on.
	Publish string
	// Insecure reports whether the image's registry speaks plain http.
	Insecure func(image string) bool
	// Fence remembers the newest deployment seen of each service.
	Fence *Fence
	// Slots bound how many pulls and starts run at once.
	Slots *Slots
	// TaskLogs keeps the output of tasks that have ended; nil keeps none.
	TaskLogs TaskLogs
	// Secrets opens the envelopes of secrets.
	Secrets secrets.Reader

	// Policies has the policy of the host; nil lets everything run.
	Policies Policies
	// Admissions remembers what the policy has let run; nil remembers nothing.
	Admissions Admissions
	// PortLow and PortHigh bound the ports of routes.
	PortLow, PortHigh int
	// Signatures checks those of images; nil where none are required.
	Signatures Signatures

	// Hosts keeps the names of components; nil for a node whose containers have none.
	Hosts HostsFiles

	readers readers
	names   names
	tasks   taskGuards
	// secretUse is held, shared, between the time that a container's secrets are made and
	// the time that the container exists.
	secretUse sync.RWMutex
}

// Builder holds the activities of a worker that has the sources.
type Builder struct {
	Name      string
	Runtime   runtime.Runtime
	Workspace string
	// Logs is the directory that keeps whole build logs.
	Logs     string
	Insecure func(image string) bool
	// Policies has the policy of the host; nil lets everything be built.
	Policies Policies
	// Signer signs what was pushed; nil to sign nothing.
	Signer Signer
	// Secrets returns what opens the secrets of services that builds have; nil where the
	// builder takes none.
	Secrets func() (secrets.Reader, error)
	// Sources reads the sources of builds.
	Sources Sources
	// Output returns where the output of an image's build is shown while it runs; nil for
	// nowhere.
	Output func(service, image string) io.Writer
}
