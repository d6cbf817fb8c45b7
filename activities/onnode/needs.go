package onnode

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
)

// Host is what Node needs to know about the host that it runs on.
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

// Admissions records what the policy of a node has let run, by fingerprints.
type Admissions interface {
	// Begun reports whether anything has ever been noted.
	Begun() bool
	// Note records a fingerprint; "" only begins.
	Note(print string) error
	Noted(print string) bool
}

// Signatures is what Node needs to know about the signatures of images.
type Signatures interface {
	// Check fails if the image's registry requires a signature, and the image, which
	// is given by its digest, has none by a key that counts. Present is set if the image is
	// here: one that was checked before needs no image registry then.
	Check(ctx context.Context, image string, present bool) error
}

// TaskLogs keeps the output of tasks that have ended, by the names of their containers.
type TaskLogs interface {
	// Keep keeps an output, instead of one that was kept before.
	Keep(container string, output []byte) error
	// Read returns what was kept. The error is NotFound if that was removed meanwhile, or
	// there was none.
	Read(container string) ([]byte, error)
}
