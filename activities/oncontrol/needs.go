package oncontrol

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// Queues is what Control needs to know about task queues.
type Queues interface {
	// Polled reports whether any worker has polled the queue within the last
	// minutes; it may be gone.
	Polled(ctx context.Context, queue string) (bool, error)
	// LastCall is when a worker of the queue last called Temporal; zero if that is unknown.
	LastCall(ctx context.Context, queue string) time.Time
}

// Lock is what Control needs to know about deploys.
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
