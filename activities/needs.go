package activities

import (
	"context"
	"net/http"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Queues is what Control needs to know of task queues.
type Queues interface {
	// Polled reports whether any worker has polled the queue within the last
	// minutes; it may be gone.
	Polled(ctx context.Context, queue string) (bool, error)
	// LastCall is when Temporal last heard of a worker of the queue; zero where it
	// does not know.
	LastCall(ctx context.Context, queue string) time.Time
}

// Lock is what Control needs to know of deploys.
type Lock interface {
	// Held reports whether a deploy of the service is under way.
	Held(ctx context.Context, service string) (bool, error)
	// Open reports whether a run is still open.
	Open(ctx context.Context, workflowID, runID string) (bool, error)
}

// ImageRegistry is what Control needs of image registries.
type ImageRegistry interface {
	// Digest is the manifest digest that a reference stands for; NotFound if
	// the image registry has none.
	Digest(ctx context.Context, image string) (string, error)
}

// Alerter delivers events to a destination outside of mcp.
type Alerter interface {
	// Alert may be called twice for one event; the ID is then the same.
	Alert(ctx context.Context, e fleet.Event) error
}

// Host is what Node needs to know of the host that it runs on.
type Host interface {
	// Status is the host's own part of a node's status: its figures, and how full
	// the file systems of the engine's storage and of the volumes are. The
	// engine's part is empty.
	Status(ctx context.Context, storage string, volumes []string) (fleet.NodeStatus, error)
}

// PortFinder finds ports on the host that it runs on.
type PortFinder interface {
	// FreePorts returns up to n distinct ports that could be bound a moment
	// ago.
	FreePorts(n int) ([]int, error)
}

// Prober checks whether a container serves.
type Prober interface {
	// HTTP requires an answer with one of the status codes; none stands for 200 to 399.
	HTTP(ctx context.Context, request *http.Request, status []int, timeout time.Duration) error
	// TCP requires that a process accepts a connection.
	TCP(ctx context.Context, address string, timeout time.Duration) error
	// Forwarded requires that a container accepts a connection on its port, to which
	// the engine forwards address. Container returns its process.
	Forwarded(ctx context.Context, address string, port int, container func(context.Context) (pid int, err error), timeout time.Duration) error
}

// Sources is what Builder needs to know of the sources of builds.
type Sources interface {
	// Read returns the state of the sources and a hash of all that enters the build.
	// Sources that differ from their commit are Invalid, unless the query accepts them.
	Read(ctx context.Context, q servicedef.SourceQuery) (servicedef.BuildSources, error)
	// Describe returns the commit of the sources, and whether they differ from it.
	Describe(ctx context.Context, q servicedef.SourceQuery) (servicedef.BuildSources, error)
}
