package onbuilder

import (
	"io"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/secrets"
)

// Builder holds the activities of a worker that has the sources.
type Builder struct {
	Name      string
	Runtime   runtime.Runtime
	Workspace string
	// Logs is the directory that keeps whole build logs.
	Logs     string
	Insecure func(image string) bool
	// Policies has the policy of the host; nil lets everything be built.
	Policies activities.Policies
	// Signer signs what was pushed; nil to sign nothing.
	Signer Signer
	// Secrets returns what opens the secrets of services that builds use; nil if the
	// builder takes none.
	Secrets func() (secrets.Reader, error)
	// Sources reads the sources of builds.
	Sources Sources
	// Output returns where the output of an image's build is shown while it runs; nil for
	// nowhere.
	Output func(service, image string) io.Writer
}
