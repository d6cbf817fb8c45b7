package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/dev/parts"
)

// nodeNames lists the nodes of a site: that of the local platform, and three
// more, each with its own podman and worker.
var nodeNames = []string{dev.Local, "rift", "orion", "vega"}

// site is the measured installation: a local platform, as mcp dev starts it, with
// additional nodes.
type site struct {
	dir, bin  string
	info      dev.Info
	postgres  string // the registry's URL
	nodes     []*node
	settledAt *node // the node of the settled services; nil before settle
	temporal  client.Client
}

// node is a podman and its worker.
type node struct {
	name, address string
	socket        string
	podman        *parts.Podman // nil for that of the platform
	worker        *parts.Process
}

// newSite starts a site. If it fails, it stops what it has started.
func newSite(ctx context.Context, bin string) (s *site, err error) {
	dir, err := os.MkdirTemp("", "mcp-bench-")
	if err != nil {
		return nil, err
	}
	s = &site{dir: dir, bin: bin}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.down())
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // Postgres runs as another user
		return s, err
	}
	for _, name := range []string{"services", "workspace"} {
		if err := os.Mkdir(s.path(name), 0o755); err != nil {
			return s, err
		}
	}
	if err := s.buildApp(ctx); err != nil {
		return s, err
	}
	if _, err := s.mcpPlain(ctx, "dev", "--detach", "--dir", s.platform(), "--workspace", s.path("workspace"), "--services", s.path("services")); err != nil {
		return s, fmt.Errorf("start the local platform: %w", err)
	}
	if s.info, err = dev.ReadInfo(s.platform()); err != nil {
		return s, err
	}
	url, err := os.ReadFile(filepath.Join(s.platform(), "postgres.url"))
	if err != nil {
		return s, err
	}
	s.postgres = strings.TrimSpace(string(url))
	s.nodes = []*node{{name: dev.Local, address: "127.0.0.1", socket: s.info.Podman}}
	for i, name := range nodeNames[1:] {
		if err := s.addNode(ctx, name, fmt.Sprintf("127.0.0.%d", i+2)); err != nil {
			return s, fmt.Errorf("start node %s: %w", name, err)
		}
	}
	quiet := sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	o, err := s.info.Connection()
	if err != nil {
		return s, err
	}
	o.Logger = quiet
	s.temporal, err = client.DialContext(ctx, o)
	return s, err
}

func (s *site) path(name ...string) string { return filepath.Join(append([]string{s.dir}, name...)...) }

func (s *site) platform() string { return s.path("platform") }

// buildApp builds the program of the deployed services, about 6 MB.
func (s *site) buildApp(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", s.path("app"), "./test/e2e/testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the service: %w\n%s", err, output)
	}
	return nil
}

// addNode starts a podman, whose routes are published on a loopback address, and
// a worker, and waits until the worker is ready.
func (s *site) addNode(ctx context.Context, name, address string) error {
	dir := s.path(name)
	engine, err := parts.StartPodman(ctx, parts.PodmanOptions{Dir: dir, Private: true})
	if err != nil {
		return err
	}
	n := &node{name: name, address: address, socket: engine.Socket(), podman: engine}
	s.nodes = append(s.nodes, n)
	config := filepath.Join(dir, "mcp.toml")
	text := fmt.Sprintf("[temporal]\naddress = %q\nencryption_key_file = %q\n[image_registry]\ninsecure = [%q]\n[node]\nsocket = %q\npublish = %q\nmachine = %q\ndata = %q\n[worker]\nlisten = \"off\"\n",
		s.info.Temporal(), s.info.EncryptionKeyFile, s.info.ImageRegistry, n.socket, address, filepath.Join(dir, "machine"), filepath.Join(dir, "data"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	log := filepath.Join(dir, "worker.log")
	n.worker, err = parts.Start(parts.Command{
		Name: "the worker of " + name, Path: s.mcpProgram(), Args: []string{"--config", config, "worker", "--node", name},
		Dir: dir, LogFile: log,
	})
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return n.worker.WaitReady(wait, func(context.Context) error {
		text, err := os.ReadFile(log)
		if err == nil && !bytes.Contains(text, []byte("worker ready")) {
			err = errors.New("the worker is not ready")
		}
		return err
	})
}

// down stops the site and removes its files.
func (s *site) down() error {
	if s.temporal != nil {
		s.temporal.Close()
	}
	var failed []error
	for _, n := range s.nodes {
		if n.worker != nil {
			n.worker.Stop()
		}
		if n.podman != nil {
			failed = append(failed, n.podman.Destroy())
		}
	}
	if dev.Exists(s.platform()) {
		_, err := s.mcpPlain(context.Background(), "dev", "down", "--destroy", "--dir", s.platform())
		failed = append(failed, err)
	}
	return errors.Join(append(failed, os.RemoveAll(s.dir))...)
}

func (s *site) mcpProgram() string { return filepath.Join(s.bin, "mcp") }

// command returns a command that runs a verb of mcp on this site.
func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	return process(exec.CommandContext(ctx, s.mcpProgram(), append([]string{"--config", filepath.Join(s.platform(), "mcp.toml")}, args...)...))
}

// process removes the variables of mcp and Temporal from a command's environment.
func process(cmd *exec.Cmd) *exec.Cmd {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MCP_") && !strings.HasPrefix(variable, "TEMPORAL_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	return cmd
}

// mcp runs a verb, which must succeed, and returns its output.
func (s *site) mcp(ctx context.Context, args ...string) (string, error) {
	return output(s.command(ctx, args...))
}

// mcpPlain runs a verb that needs no configuration.
func (s *site) mcpPlain(ctx context.Context, args ...string) (string, error) {
	return output(process(exec.CommandContext(ctx, s.mcpProgram(), args...)))
}

// output runs a command and returns its stdout; an error includes its stderr.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// podman runs podman's command line on a node.
func (s *site) podman(ctx context.Context, n *node, args ...string) (string, error) {
	return output(exec.CommandContext(ctx, "podman", append([]string{"--url", n.socket}, args...)...))
}

// psql runs Postgres's command line on the registry.
func (s *site) psql(ctx context.Context, args ...string) (string, error) {
	return output(exec.CommandContext(ctx, "psql", append(args, s.postgres)...))
}

// onAll calls do for all nodes concurrently.
func (s *site) onAll(do func(n *node) error) error {
	return atOnce(len(s.nodes), func(i int) error { return do(s.nodes[i]) })
}

// atOnce calls do n times concurrently, and returns the joined errors.
func atOnce(n int, do func(i int) error) error {
	failed := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { failed[i] = do(i) })
	}
	group.Wait()
	return errors.Join(failed...)
}
