package workers

import (
	"io"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/sources"
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
	// Policy is the file with the policy of this host; "" means policy.DefaultFile, which may
	// be missing.
	Policy string
	// Signing signs what was pushed; the zero value signs nothing.
	Signing Signing
	// KeyFile is the private key to which secrets of builds are sealed, made when it is first
	// needed; "" means no key. Signers returns whose secrets the builder takes; nil for none.
	KeyFile string
	Signers func() ([]string, error)
	// ServesLogs makes the builder answer requests for its build logs.
	ServesLogs bool
	// Output returns where the output of an image's build is shown while it runs; nil for
	// nowhere.
	Output func(service, image string) io.Writer
}

// parallelBuilds is how many builds and pushes one builder runs at once.
const parallelBuilds = 4

// reader returns what opens the secrets of builds.
func (r *Builder) reader() (secrets.Reader, error) {
	reader := secrets.Reader{Node: r.Name, Builder: true}
	var texts []string
	var err error
	if r.Signers != nil {
		texts, err = r.Signers()
	}
	if err == nil {
		reader.Signers, err = signersOf(texts)
	}
	if err != nil || r.KeyFile == "" {
		return reader, err
	}
	if reader.Identity, err = seal.Load(r.KeyFile); err != nil {
		return reader, fault.Wrap(fault.Of(err).Kind, err, "builder %s takes no managed secret: its key cannot be used", r.Name)
	}
	return reader, nil
}

func (r *Builder) start(w *Workers, c client.Client) error {
	signer, err := r.Signing.signer(imageregistry.Options{Insecure: r.Insecure, AuthFile: r.AuthFile, Place: "host of builder " + r.Name})
	if err != nil {
		return err
	}
	served := &onbuilder.Builder{
		Name:      r.Name,
		Runtime:   w.podman("builder "+r.Name, r.Socket).LoginsFrom(r.AuthFile),
		Workspace: r.Workspace,
		Logs:      r.Logs,
		Insecure:  imageregistry.Insecure(r.Insecure),
		Sources:   sources.Git{},
		Policies:  w.policies("builder "+r.Name, r.Policy, r.Socket),
		Signer:    signer,
		Output:    r.Output,
		Secrets:   r.reader,
	}
	o := worker.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: parallelBuilds,
	}
	register := func(reg worker.Registry) { reg.RegisterActivity(served) }
	if err := w.serve(c, activities.QueueBuild(r.Name), o, register); err != nil || !r.ServesLogs {
		return err
	}
	return w.serve(c, activities.QueueBuildLog(r.Name), o, register)
}
