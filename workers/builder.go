package workers

import (
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/imageregistry"
)

// Builder is the role of a host that has the sources and a podman to build them.
type Builder struct {
	Name string
	// Workspace is the directory that a service's path is relative to.
	Workspace string
	Socket    string
	// Logs is the directory of complete build logs.
	Logs     string
	Insecure []string
	// AuthFile holds credentials for image registries; "" means podman's own.
	AuthFile string
}

// parallelBuilds is how many builds and pushes one builder runs at once.
const parallelBuilds = 4

func (r *Builder) start(w *Workers, c client.Client) error {
	served := &activities.Builder{
		Name:      r.Name,
		Runtime:   w.podman("builder "+r.Name, r.Socket).LoginsFrom(r.AuthFile),
		Workspace: r.Workspace,
		Logs:      r.Logs,
		Insecure:  imageregistry.Insecure(r.Insecure),
	}
	o := worker.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: parallelBuilds,
	}
	return w.serve(c, activities.QueueBuild(r.Name), o, func(reg worker.Registry) {
		reg.RegisterActivity(served)
	})
}
