package service

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/servicedef"
)

// draft has the fields of a new definition; those that are zero have a default.
type draft struct {
	name, node, image, containerfile string
	port                             int
}

// complete fills in the defaults that the configuration has.
func (o *draft) complete(cfg *config.Config) {
	o.node = cmp.Or(o.node, cfg.Node.Name)
	if o.image == "" && len(cfg.ImageRegistry.Insecure) > 0 {
		o.image = cfg.ImageRegistry.Insecure[0] + "/" + o.name + ":v1"
	}
}

// check returns what is missing from the definition, or wrong with it.
func (o *draft) check(dir string) error {
	if o.node == "" {
		return errors.New("no node: give --node NODE; mcp node list shows them")
	}
	if o.image == "" {
		return errors.New("no image: give --image REGISTRY/NAME:TAG")
	}
	_, err := checkText(dir, o.path(dir), o.text())
	return err
}

// soFar checks the answers given so far, as if the others were right.
func (o *draft) soFar(dir string) error {
	if _, err := os.Stat(o.path(dir)); o.name != "" && err == nil {
		return fmt.Errorf("%s is there already", o.path(dir))
	}
	trial := *o
	trial.name = cmp.Or(o.name, "name")
	trial.node = cmp.Or(o.node, "node")
	trial.image = cmp.Or(o.image, "registry.example/image:v1")
	return trial.check(dir)
}

// path returns the definition's file.
func (o *draft) path(dir string) string { return filepath.Join(dir, o.name+".toml") }

// text returns the text of the definition.
func (o *draft) text() string {
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

# By default it is healthy when each route accepts a connection.
# [components.health]
# http = "/healthz"

# A port of this component; mcp finds a free one on the node.
[[components.routes]]
name = "http"
port = 443   # the public port
mode = "l7"  # or "l4"
`, o.name, o.image, o.name, o.name, o.name)
	if o.port != 0 {
		fmt.Fprintf(&b, "container_port = %d  # the port that the program listens on\n", o.port)
	} else {
		b.WriteString("# container_port = 8080  # without it, the program listens on $PORT\n")
	}
	return b.String()
}
