package dev

import (
	"context"
	"path/filepath"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/workers"
)

// EdgeInfo lists the addresses of the platform's edge.
type EdgeInfo struct {
	// HTTP and HTTPS are where it listens for ports 80 and 443.
	HTTP  string `json:"http"`
	HTTPS string `json:"https"`
	// Root is the file of the root certificate of its own authority.
	Root    string `json:"root"`
	Metrics string `json:"metrics"`
}

// findEdge finds the program mcp-edge. The platform goes on without it.
func (p *Platform) findEdge() {
	if p.options.NoEdge {
		return
	}
	path, err := program(p.options.Programs, "mcp-edge")
	if err != nil {
		p.options.Logger.Warn("no edge: routes are reached at their nodes' ports alone", "error", err)
		return
	}
	p.edge = path
}

// chooseEdge chooses the ports of the edge, which its configuration contains.
func (p *Platform) chooseEdge(context.Context) error {
	if p.edge == "" {
		return nil
	}
	wanted := parts.EdgePorts{HTTP: p.options.HTTPPort, HTTPS: p.options.HTTPSPort}
	ports, err := parts.ChooseEdgePorts(p.path(edgeDir), wanted)
	if err != nil {
		return err
	}
	p.edgePorts = ports
	p.info.Edge = &EdgeInfo{
		HTTP: loopback(ports.HTTP), HTTPS: loopback(ports.HTTPS), Root: Root(p.options.Dir),
		Metrics: "http://" + loopback(ports.Metrics) + "/metrics",
	}
	return nil
}

// Root returns the path of the root certificate of the edge's own authority.
func Root(dir string) string { return filepath.Join(dir, edgeDir, "ca", "root.crt") }

// startEdge starts the edge, admits its key and returns when it serves.
func (p *Platform) startEdge(ctx context.Context) error {
	if p.edge == "" {
		return nil
	}
	o := parts.EdgeOptions{Dir: p.path(edgeDir), Binary: p.edge, Config: p.edgeConfig(), Ports: p.edgePorts}
	first, err := parts.StartEdge(ctx, o)
	if err != nil {
		return err
	}
	p.keep("edge", first, p.again(func(ctx context.Context) (part, error) { return parts.StartEdge(ctx, o) }))
	if err := p.admit(ctx); err != nil {
		return err
	}
	return first.Ready(ctx)
}

// admit admits the key in the edge's directory.
func (p *Platform) admit(ctx context.Context) error {
	own, err := seal.Load(filepath.Join(p.path(edgeDir), "key"))
	if err != nil {
		return err
	}
	o, _ := p.connection(identity.Operator)
	o.Logger = sdklog.NewStructuredLogger(p.options.SDKLogger)
	c, err := client.DialContext(ctx, o)
	if err != nil {
		return err
	}
	defer c.Close()
	return workers.AdmitEdge(ctx, c, Local, own.Key().String())
}
