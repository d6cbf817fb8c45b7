package cli

import (
	"cmp"
	"context"
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

// serviceNewOptions is what there is to say of a new service; what is zero is
// left to a default.
type serviceNewOptions struct {
	name, node, image, containerfile string
	port                             int
}

func newServiceNew(a *App) *cobra.Command {
	var o serviceNewOptions
	cmd := &cobra.Command{
		Use:   "new [NAME]",
		Short: "Write a definition to begin with",
		Long: `New writes the definition of a service with one component, with comments, into
the services directory. It writes over nothing, and nothing that would not be
valid. With --containerfile mcp builds the image where the image registry does
not have it.

Without a name, and on a terminal, it asks for it, and for all that no flag says.`,
		Example: "  mcp service new\n  mcp service new shop --node rift --image registry.example/shop:v1",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return a.newService(cmd.Context(), o, cmd.Flags().Changed)
		},
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

// newService writes a definition. Said tells of a flag whether it was given.
func (a *App) newService(ctx context.Context, o serviceNewOptions, said func(flag string) bool) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if cfg.Services == "" {
		return noServices(cfg)
	}
	if o.name == "" {
		if a.Interactive == nil || !a.Interactive() {
			return usageError{errors.New("name the service: mcp service new NAME --node NODE --image REGISTRY/NAME:TAG")}
		}
		if err := a.askService(ctx, cfg, &o, said); err != nil {
			return err
		}
	}
	o.complete(cfg)
	if err := o.check(cfg.Services); err != nil {
		return usageError{err}
	}
	path := o.path(cfg.Services)
	if err := writeNew(path, o.text()); err != nil {
		return err
	}
	if a.json {
		a.printJSON(written{o.name, path})
		return nil
	}
	_, _ = fmt.Fprintln(a.Stdout, path)
	a.say("change it: mcp service edit %s; then: mcp deploy %s", o.name, o.name)
	return nil
}

// complete fills in what the configuration can tell.
func (o *serviceNewOptions) complete(cfg *config.Config) {
	o.node = cmp.Or(o.node, cfg.Node.Name)
	if o.image == "" && len(cfg.ImageRegistry.Insecure) > 0 {
		o.image = cfg.ImageRegistry.Insecure[0] + "/" + o.name + ":v1"
	}
}

// check says what is missing, or wrong with the definition.
func (o *serviceNewOptions) check(dir string) error {
	if o.node == "" {
		return errors.New("which node does it run on? say --node NODE; mcp node list shows them")
	}
	if o.image == "" {
		return errors.New("what does it run? say --image REGISTRY/NAME:TAG")
	}
	_, err := checkText(dir, o.path(dir), o.text())
	return err
}

// path is the definition's file.
func (o *serviceNewOptions) path(dir string) string { return filepath.Join(dir, o.name+".toml") }

// text is the definition.
func (o *serviceNewOptions) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Every key, with what it means: mcp's docs/service.example.toml.
name = %q
node = %q    # where its components run
active = true  # false: a deploy stops it

`, o.name, o.node)
	if o.containerfile != "" {
		fmt.Fprintf(&b, `path = %q  # its sources, below the workspace

# Image name → Containerfile, for images that the image registry does not have.
[build.images]
%q = %q

`, o.name, servicedef.ImageName(o.image), o.containerfile)
	}
	fmt.Fprintf(&b, `# One container. Another [[components]] adds one.
[[components]]
name = %q
image = %q
# env = { LOG_LEVEL = "info" }
# secret_env = { PASSWORD = "%s-password" }  # podman secret create %s-password FILE
# volumes = ["/srv/%s:/data"]

# Unless told otherwise it is healthy when each route accepts a connection.
# [components.health]
# http = "/healthz"

# A port of this component; mcp finds a free one on the node.
[[components.routes]]
name = "http"
port = 443   # the port that the world knows
mode = "l7"  # or "l4"
`, o.name, o.image, o.name, o.name, o.name)
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
	read, err := servicedef.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if other, err := read.Find(service.Name); err == nil && other.File != path {
		return nil, fault.New(fault.Conflict, "%s defines service %s already", other.File, service.Name)
	}
	return service, read.CollisionsOf(service)
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
