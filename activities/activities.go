// Package activities holds the verbs of a deploy: each method of Control,
// Node and Builder is one Temporal activity, on the task queue of its kind.
//
// Every activity may run twice, or die half-way: it looks first and does only
// what is missing. What it needs of the outside it declares here, as small
// interfaces; the adapters that satisfy them are wired in package workers.
package activities

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// QueueControl is the task queue of control workers.
const QueueControl = "control"

// QueueNode is the task queue that only the node's own worker polls.
func QueueNode(node string) string { return "node-" + node }

// QueueBuild is the task queue that only the named builder polls.
func QueueBuild(builder string) string { return "build-" + builder }

// Registry is what Control needs of mcp's own tables. Each method is one
// transaction and may be called twice.
type Registry interface {
	BeginDeployment(ctx context.Context, r fleet.BeginRequest) (fleet.BeginResult, error)
	Renumber(ctx context.Context, r fleet.RenumberRequest) (int, error)
	Release(ctx context.Context, service string) (fleet.Release, error)
	AllocatePorts(ctx context.Context, r fleet.PortRequest) ([]fleet.Route, error)
	ReleasePorts(ctx context.Context, service string, rest time.Duration) error
	CommitRelease(ctx context.Context, r fleet.CommitRequest) (fleet.CommitResult, error)
	FinishDeployment(ctx context.Context, r fleet.FinishRequest) error
	RecordDefinition(ctx context.Context, definition servicedef.Service) (changed bool, err error)
	MarkMended(ctx context.Context, service string, deployment int) error
	RecordNode(ctx context.Context, r fleet.NodeRecord) (fleet.Boot, error)
	MarkRevived(ctx context.Context, node, boot string) error
	ClaimNode(ctx context.Context, c fleet.Claim) (fleet.ClaimResult, error)
	SetDraining(ctx context.Context, node string, draining bool) ([]fleet.ServiceOn, error)
	RemoveNode(ctx context.Context, node string) error
	Nodes(ctx context.Context) ([]fleet.NodeRecord, error)
	Services(ctx context.Context, names []string) ([]fleet.ServiceRecord, error)
	Deployments(ctx context.Context, service string, limit int) ([]fleet.DeploymentRecord, error)
	Snapshot(ctx context.Context, service string, number int) (fleet.Snapshot, error)
	Purge(ctx context.Context, service string, dry bool) (fleet.Forgotten, error)
	UnderWay(ctx context.Context) (map[string]int, error)
	RecordObservation(ctx context.Context, o fleet.Observation, destinations []string) ([]fleet.Event, []fleet.Healing, error)
	Alerting(ctx context.Context, tooLate time.Duration) ([]string, error)
	Alerts(ctx context.Context, destination string, limit int) ([]fleet.Event, error)
	MarkTold(ctx context.Context, destination string, event int64) error
	WatchedNodes(ctx context.Context) ([]fleet.WatchedNode, error)
	NodeStates(ctx context.Context) ([]fleet.NodeState, error)
	Events(ctx context.Context, q fleet.EventQuery) ([]fleet.Event, error)
	History(ctx context.Context, node string, from time.Time) (fleet.NodeHistory, error)
	ThinSamples(ctx context.Context, node string, before time.Time) (thinned bool, err error)
	DropHours(ctx context.Context, before time.Time) error
	FoldEvents(ctx context.Context, before time.Time, n int) (folded int, err error)
	DropEvents(ctx context.Context, before time.Time, n int) (dropped int, err error)
	// Schema is the version of the tables, and the one that this mcp needs.
	Schema(ctx context.Context) (has, needs int, err error)
}

// Queues is what Control needs to know of task queues.
type Queues interface {
	// Polled reports whether any worker has polled the queue lately: within
	// minutes, so that it may be gone.
	Polled(ctx context.Context, queue string) (bool, error)
}

// Alerter tells somebody outside of an event.
type Alerter interface {
	// Alert may be called twice for one event; its ID says so.
	Alert(ctx context.Context, e fleet.Event) error
}

// Host is what Node needs to know of the host that it runs on.
type Host interface {
	// Status is how the host is, and how full the file systems of the engine's
	// storage and of the volumes; what is the engine's is left out.
	Status(ctx context.Context, storage string, volumes []string) (fleet.NodeStatus, error)
}

// Lock is what Control needs to know of deploys.
type Lock interface {
	// Held reports whether a deploy of the service is under way.
	Held(ctx context.Context, service string) (bool, error)
}

// ImageRegistry is what Control needs of image registries.
type ImageRegistry interface {
	// Digest is the manifest digest that a reference stands for; NotFound if
	// the image registry has none.
	Digest(ctx context.Context, image string) (string, error)
}

// PortFinder finds ports on the host that it runs on.
type PortFinder interface {
	// FreePorts returns up to n distinct ports that could be bound a moment
	// ago.
	FreePorts(n int) ([]int, error)
}

// Prober asks a container whether it serves.
type Prober interface {
	HTTP(ctx context.Context, url string, timeout time.Duration) error
	TCP(ctx context.Context, address string, timeout time.Duration) error
}

// Control is what control workers do: all that touches Postgres or an image
// registry.
type Control struct {
	Registry Registry
	Images   ImageRegistry
	Lock     Lock
	Queues   Queues
	// Version is mcp's own.
	Version string
	// Alerts are the destinations of alerts by their names; none is fine.
	Alerts map[string]Alerter
	// PortRest is how long a released port is kept from being handed out
	// again: the old holder may still be stopping, and a client may still
	// have its address.
	PortRest time.Duration
}

// Node is what a node's own worker does: all that touches its containers.
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
	// Turns are taken to pull and to start.
	Turns *Turns
}

// Builder is what a worker with the sources does.
type Builder struct {
	Name      string
	Runtime   runtime.Runtime
	Workspace string
	// Logs is the directory that keeps whole build logs.
	Logs     string
	Insecure func(image string) bool
}
