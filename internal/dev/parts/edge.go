package parts

import (
	"context"
	"fmt"
	"path/filepath"
)

// EdgeOptions configure an edge.
type EdgeOptions struct {
	// Dir holds its key, its publications, its certificates and its log.
	Dir string
	// Binary is the program mcp-edge.
	Binary string
	// Config is its mcp.toml.
	Config string
	// Ports are those in its configuration.
	Ports EdgePorts
}

// EdgePorts are the ports of 127.0.0.1 on which an edge listens.
type EdgePorts struct {
	HTTP, HTTPS int
	// Metrics is that of metrics and health.
	Metrics int
}

// Edge is a running edge.
type Edge struct {
	*Process
	ports EdgePorts
}

// ChooseEdgePorts chooses the ports that are 0: the last ones used in dir, or free ones.
func ChooseEdgePorts(dir string, wanted EdgePorts) (EdgePorts, error) {
	if err := makeDir(dir, 0o700); err != nil {
		return wanted, fmt.Errorf("make the edge's directory: %w", err)
	}
	var err error
	for _, port := range []struct {
		name string
		port *int
	}{{"http", &wanted.HTTP}, {"https", &wanted.HTTPS}, {"metrics", &wanted.Metrics}} {
		if *port.port, err = stickyPort(dir, port.name, *port.port); err != nil {
			return wanted, err
		}
	}
	return wanted, nil
}

// StartEdge starts an edge and waits until it is alive. It serves when it is admitted:
// see Ready.
func StartEdge(ctx context.Context, o EdgeOptions) (*Edge, error) {
	// What a developer has set for another mcp does not apply to this one.
	program, args := withoutVariables([]string{"MCP_", "TEMPORAL_"}, o.Binary, "--config", o.Config, "--drain", "3s")
	process, err := Start(Command{Name: "edge", Path: program, Args: args, Dir: o.Dir, LogFile: filepath.Join(o.Dir, "edge.log")})
	if err != nil {
		return nil, err
	}
	e := &Edge{Process: process, ports: o.Ports}
	if err := e.WaitReady(ctx, func(ctx context.Context) error { return ping(ctx, e.Health("/healthz"), nil) }); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// Ready returns when the edge is admitted and serves.
func (e *Edge) Ready(ctx context.Context) error {
	return e.WaitReady(ctx, func(ctx context.Context) error { return ping(ctx, e.Health("/readyz"), nil) })
}

// Health returns the URL of a path where the edge serves metrics and health.
func (e *Edge) Health(path string) string { return "http://" + loopback(e.ports.Metrics) + path }
