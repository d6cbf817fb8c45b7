package onnode

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
)

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

// Admissions remembers what the policy of a node has let run, by fingerprints.
type Admissions interface {
	// Begun reports whether anything has ever been noted.
	Begun() bool
	// Note remembers a fingerprint; "" only begins.
	Note(print string) error
	Noted(print string) bool
}

// Signatures is what Node needs to know of the signatures of images.
type Signatures interface {
	// Check fails where the image's registry requires a signature, and the image, which
	// is given by its digest, has none by a key that counts. Present is set where the
	// image is here: one that was checked before needs no image registry then.
	Check(ctx context.Context, image string, present bool) error
}

// TaskLogs keeps the output of tasks that have ended, by the names of their containers.
type TaskLogs interface {
	// Keep keeps an output; a second time it replaces it.
	Keep(container string, output []byte) error
	// Read returns what was kept. It is NotFound where that was removed meanwhile, or
	// there was none.
	Read(container string) ([]byte, error)
}
