package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/dev/parts"
)

// doorway is a gateway in front of a site's Temporal, with a node that has joined through
// it and an operator.
type doorway struct {
	site    *site
	node    *node
	gateway *parts.Process
	// operator is the configuration of the operator, and mine that of the gateway.
	operator, mine string
}

// doorNode is the name of the node.
const doorNode = "mira"

// newDoorway starts a gateway and a node. If it fails, it stops what it has started.
func newDoorway(ctx context.Context, s *site) (d *doorway, err error) {
	d = &doorway{site: s, operator: s.path("door", "operator.toml"), mine: s.path("door", "gateway.toml")}
	defer func() {
		if err != nil {
			d.down()
		}
	}()
	if err := os.MkdirAll(s.path("door", "node"), 0o755); err != nil {
		return d, err
	}
	address, err := freeAddress()
	if err != nil {
		return d, err
	}
	images := fmt.Sprintf("[image_registry]\ninsecure = [%q]\n", s.info.ImageRegistry)
	gateway := fmt.Sprintf("[temporal]\naddress = %q\nencryption_key_file = %q\n[postgres]\nurl_file = %q\n[gateway]\nlisten = %q\nkey_file = %q\ndata = %q\nmetrics = \"off\"\n",
		s.info.Temporal(), s.info.EncryptionKeyFile, filepath.Join(s.platform(), "postgres.url"), address, filepath.Join(s.platform(), "gateway", "gateway.key"), s.path("door", "gateway"))
	if err := os.WriteFile(d.mine, []byte(gateway), 0o600); err != nil {
		return d, err
	}
	if d.gateway, err = d.serve(ctx, "gateway", d.mine, "gateway ready", "gateway"); err != nil {
		return d, err
	}
	if err := d.join(ctx, d.operator, fmt.Sprintf("services = %q\n", s.path("services"))+images, d.mine, "operator", "bench", "--direct"); err != nil {
		return d, err
	}
	engine, err := parts.StartPodman(ctx, parts.PodmanOptions{Dir: s.path("door", "node"), Private: true})
	if err != nil {
		return d, err
	}
	d.node = &node{name: doorNode, address: "127.0.0.9", socket: engine.Socket(), podman: engine}
	config := s.path("door", "node", "mcp.toml")
	text := images + fmt.Sprintf("[node]\nsocket = %q\npublish = %q\nmachine = %q\ndata = %q\nlogs = %q\n[worker]\nlisten = \"off\"\n",
		d.node.socket, d.node.address, s.path("door", "node", "machine"), s.path("door", "node", "data"), s.path("door", "node", "logs"))
	if err := d.join(ctx, config, text, d.operator, "node", doorNode); err != nil {
		return d, err
	}
	if d.node.worker, err = d.serve(ctx, "node", config, "worker ready", "worker", "--node", doorNode); err != nil {
		return d, err
	}
	return d, d.answers(ctx)
}

// answers waits until the operator is served: a control worker that is older than the
// gateway needs some seconds to know its key.
func (d *doorway) answers(ctx context.Context) error {
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := output(d.command(ctx, "status"))
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Second)
	}
}

// serve starts a role of mcp, and waits until its log has a text.
func (d *doorway) serve(ctx context.Context, name, config, ready string, args ...string) (*parts.Process, error) {
	log := d.site.path("door", name+".log")
	p, err := parts.Start(parts.Command{
		Name: "the " + name + " of the door", Path: d.site.mcpProgram(), Args: append([]string{"--config", config}, args...), Dir: d.site.path("door"), LogFile: log,
	})
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return p, p.WaitReady(wait, func(context.Context) error {
		text, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(text), ready) {
			err = fmt.Errorf("the log of the %s has no line %q", name, ready)
		}
		return err
	})
}

// join writes a configuration, and joins with it and with a token that the configuration
// by creates.
func (d *doorway) join(ctx context.Context, config, text, by string, of ...string) error {
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	token, err := output(d.with(ctx, by, append([]string{"identity", "create"}, of...)...))
	if err != nil {
		return err
	}
	args := []string{"join", strings.TrimSpace(token)}
	if of[0] == "node" {
		args = append(args, "--no-unit", "--dir", d.site.path("door", "node", "identity"))
	}
	_, err = output(d.with(ctx, config, args...))
	return err
}

// with returns a command of mcp with a configuration.
func (d *doorway) with(ctx context.Context, config string, args ...string) *exec.Cmd {
	return process(exec.CommandContext(ctx, d.site.mcpProgram(), append([]string{"--config", config}, args...)...))
}

// command returns a command of the operator.
func (d *doorway) command(ctx context.Context, args ...string) *exec.Cmd {
	return d.with(ctx, d.operator, args...)
}

// down stops the node and the gateway.
func (d *doorway) down() {
	if d.node != nil && d.node.worker != nil {
		d.node.worker.Stop()
	}
	if d.node != nil {
		_ = d.node.podman.Destroy() // the site's directory goes with it
	}
	if d.gateway != nil {
		d.gateway.Stop()
	}
}

// freeAddress is an address of this machine that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
