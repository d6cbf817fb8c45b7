package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

type serviceNewOptions struct {
	node, image, containerfile string
	port                       int
}

func newServiceNew(a *App) *cobra.Command {
	var o serviceNewOptions
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a definition to begin with",
		Long: `New writes the definition of a service with one component, with comments, into
the services directory. It writes over nothing, and nothing that would not be
valid. With --containerfile mcp builds the image where the image registry does
not have it.`,
		Example: "  mcp service new shop --node rift --image registry.example/shop:v1",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return a.newService(args[0], o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.node, "node", "", "the node that it runs on (default: [node] name of mcp.toml)")
	flags.StringVar(&o.image, "image", "", "its image, with a tag (default: NAME:v1 of the first image registry of mcp.toml)")
	flags.StringVar(&o.containerfile, "containerfile", "", "what to build the image from, below the directory NAME of the workspace")
	flags.IntVar(&o.port, "port", 0, "the port that its program listens on (default: one that mcp chooses, as $PORT)")
	return cmd
}

// written is what mcp service new --json prints.
type written struct {
	Service string `json:"service"`
	File    string `json:"file"`
}

func (a *App) newService(name string, o serviceNewOptions) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if cfg.Services == "" {
		return noServices(cfg)
	}
	if err := o.complete(cfg, name); err != nil {
		return usageError{err}
	}
	path := filepath.Join(cfg.Services, name+".toml")
	text := o.text(name)
	if _, err := checkText(cfg.Services, path, text); err != nil {
		return usageOr(err)
	}
	if err := writeNew(path, text); err != nil {
		return err
	}
	if a.json {
		a.printJSON(written{name, path})
		return nil
	}
	_, _ = fmt.Fprintln(a.Stdout, path)
	a.say("change it: mcp service edit %s; then: mcp deploy %s", name, name)
	return nil
}

// complete fills in what the configuration can tell.
func (o *serviceNewOptions) complete(cfg *config.Config, name string) error {
	o.node = cmp.Or(o.node, cfg.Node.Name)
	if o.node == "" {
		return errors.New("which node does it run on? say --node NODE; mcp node list shows them")
	}
	if o.image == "" && len(cfg.ImageRegistry.Insecure) > 0 {
		o.image = cfg.ImageRegistry.Insecure[0] + "/" + name + ":v1"
	}
	if o.image == "" {
		return errors.New("what does it run? say --image REGISTRY/NAME:TAG")
	}
	return nil
}

// text is the definition.
func (o serviceNewOptions) text(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Every key, with what it means: mcp's docs/service.example.toml.
name = %q
node = %q    # where its components run
active = true  # false: a deploy stops it

`, name, o.node)
	if o.containerfile != "" {
		fmt.Fprintf(&b, `path = %q  # its sources, below the workspace

# Image name → Containerfile, for images that the image registry does not have.
[build.images]
%q = %q

`, name, servicedef.ImageName(o.image), o.containerfile)
	}
	fmt.Fprintf(&b, `# One container. Another [[components]] adds one.
[[components]]
name = %q
image = %q
# env = { LOG_LEVEL = "info" }
# volumes = ["/srv/%s:/data"]

# Unless told otherwise it is healthy when each route accepts a connection.
# [components.health]
# http = "/healthz"

# A port of this component; mcp finds a free one on the node.
[[components.routes]]
name = "http"
port = 443   # the port that the world knows
mode = "l7"  # or "l4"
`, name, o.image, name)
	if o.port != 0 {
		fmt.Fprintf(&b, "container_port = %d  # the port that the program listens on\n", o.port)
	} else {
		b.WriteString("# container_port = 8080  # without it, the program listens on $PORT\n")
	}
	return b.String()
}

// checkText checks what a file of the services directory is to hold, also
// against the other definitions there.
func checkText(dir, path, text string) (*servicedef.Service, error) {
	service, err := servicedef.Parse([]byte(text), path)
	if err != nil {
		return nil, err
	}
	if other, err := servicedef.Find(dir, service.Name); err == nil && other.File != path {
		return nil, fault.New(fault.Conflict, "%s defines service %s already", other.File, service.Name)
	}
	return service, servicedef.CollisionsOf(dir, service)
}

// writeNew writes a file that must not be there yet.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fault.New(fault.Conflict, "%s is there already", path)}
	}
	if err != nil {
		return fmt.Errorf("write the definition: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the definition: %w", err)
	}
	return nil
}
