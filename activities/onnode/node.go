package onnode

import (
	"cmp"
	"sync"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode/health"
	"github.com/metacircular/mcp/activities/onnode/naming"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/secrets"
)

// Node holds the activities of a node's own worker: all that touch its containers.
type Node struct {
	Name    string
	Runtime runtime.Runtime
	Ports   PortFinder
	Probe   health.Prober
	Host    Host
	// Machine is the host that the worker runs on.
	Machine fleet.Machine
	// Version is mcp's own.
	Version string
	// Publish is the address that routes are published on.
	Publish string
	// Insecure reports whether the image's registry speaks plain http.
	Insecure func(image string) bool
	// Fence records the newest deployment seen of each service.
	Fence *Fence
	// Slots bound how many pulls and starts run at once.
	Slots *Slots
	// TaskLogs keeps the output of tasks that have ended; nil keeps none.
	TaskLogs TaskLogs
	// Secrets opens the envelopes of secrets.
	Secrets secrets.Reader

	// Policies has the policy of the host; nil lets everything run.
	Policies activities.Policies
	// Admissions records what the policy has let run; nil records nothing.
	Admissions Admissions
	// PortLow and PortHigh bound the ports of routes.
	PortLow, PortHigh int
	// Signatures checks those of images; nil if none are required.
	Signatures Signatures

	// Names lead to the containers of components.
	Names naming.Names

	readers readers
	tasks   taskGuards
	// secretUse is held, shared, between the time that a container's secrets are made and
	// the time that the container exists.
	secretUse sync.RWMutex
}

// health returns the checker of the node's containers.
func (a *Node) health() health.Checker {
	return health.Checker{Runtime: a.Runtime, Probe: a.Probe, Publish: a.Publish}
}

// placed adds the node and the component to an error; one that names its component keeps it
// if component is "".
func (a *Node) placed(err error, component string) error {
	f := *fault.Of(err)
	f.Node, f.Component = a.Name, cmp.Or(component, f.Component)
	return &f
}
