package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// deployed is the part of a result of mcp deploy --json that is read here.
type deployed struct {
	Outcome    string
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	Components []struct {
		Name  string
		Ports map[string]int
	}
}

// deploy deploys a service, which must succeed.
func (s *site) deploy(ctx context.Context, service string) (deployed, error) {
	var d deployed
	text, err := s.mcp(ctx, "deploy", "--wait", service, "--json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &d)
	}
	return d, err
}

// bring deploys a service of one component on the second node.
func (s *site) bring(ctx context.Context, service string) error {
	image, err := s.publish(ctx, service, "v1")
	if err != nil {
		return err
	}
	if err := s.define(service, "", component("app", s.nodes[1].name, image)); err != nil {
		return err
	}
	_, err = s.deploy(ctx, service)
	return err
}

// settled is the number of services that keep running while several rows are
// measured, settledShort that of a short run.
const (
	settled      = 50
	settledShort = 15
)

// settle deploys many services on the last node, unless they already run, and
// returns their number.
func (b *bench) settle(ctx context.Context) (many int, err error) {
	s := b.site
	if many = settled; b.options.short {
		many = settledShort
	}
	if s.settledAt != nil {
		return many, nil
	}
	n := s.nodes[len(s.nodes)-1]
	image, err := s.publish(ctx, "settled", "v1")
	if err != nil {
		return 0, err
	}
	var names []string
	for i := range many {
		name := fmt.Sprintf("settled-%02d", i)
		names = append(names, name)
		if err := s.define(name, "", component("app", n.name, image)); err != nil {
			return 0, err
		}
	}
	if _, err := s.mcp(ctx, append([]string{"deploy", "--wait", "--json"}, names...)...); err != nil {
		return 0, err
	}
	s.settledAt = n
	return many, nil
}

// component returns one component of a definition, which answers on a route. It
// does not drain, because the scripts it is compared with do not either.
func component(name, node, image string) string {
	return fmt.Sprintf(`
[[components]]
name = %q
node = %q
image = %q
drain = "0s"

[components.health]
http = "/"

[[components.routes]]
name = "http"
port = 443
mode = "l7"
`, name, node, image)
}

// define writes the definition of a service.
func (s *site) define(name string, head string, components ...string) error {
	text := fmt.Sprintf("name = %q\n%s%s", name, head, strings.Join(components, ""))
	return os.WriteFile(s.path("services", name+".toml"), []byte(text), 0o644)
}

// publish builds an image of that version on the platform's node and pushes it.
func (s *site) publish(ctx context.Context, name, version string) (string, error) {
	image := s.image(name, version)
	if err := s.source(name, version); err != nil {
		return "", err
	}
	if _, err := s.podman(ctx, s.nodes[0], "build", "-q", "-t", image, s.path("workspace", name)); err != nil {
		return "", err
	}
	if _, err := s.podman(ctx, s.nodes[0], "push", "-q", "--tls-verify=false", image); err != nil {
		return "", err
	}
	_, err := s.podman(ctx, s.nodes[0], "rmi", image)
	return image, err
}

// source writes the sources of an image of that version, which differs from all
// others.
func (s *site) source(name, version string) error {
	dir := s.path("workspace", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	program, err := os.ReadFile(s.path("app"))
	if err != nil {
		return err
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	if err := os.WriteFile(filepath.Join(dir, "app"), append(program, salt...), 0o755); err != nil {
		return err
	}
	containerfile := "FROM scratch\nCOPY app /app\nENV VERSION=" + version + "\nCMD [\"/app\"]\n"
	return os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(containerfile), 0o644)
}

// image returns a reference in the site's image registry.
func (s *site) image(name, tag string) string {
	return fmt.Sprintf("%s/%s:%s", s.info.ImageRegistry, name, tag)
}

// script returns a command that runs one of bench/scripts with a node's podman.
func (s *site) script(ctx context.Context, n *node, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", append([]string{filepath.Join("bench", "scripts", name)}, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINER_HOST="+n.socket)
	return cmd
}

// freePort returns a port for the scripts, outside the range of mcp and that of
// the kernel's ephemeral ports.
func freePort(i int) int { return 61100 + i }
