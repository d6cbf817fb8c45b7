package command

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"

	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/edge/role"
	"github.com/metacircular/mcp/edge/server"
	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/identity/enrol"
	"github.com/metacircular/mcp/internal/stream"
)

// serve runs the edge until ctx ends, or it cannot go on.
func (a App) serve(ctx context.Context, o options) error {
	log, err := ui.ServiceLog(a.Stderr, o.logFormat, o.debug)
	if err != nil {
		return exit.Usage(err)
	}
	cfg, err := a.load(o)
	if err != nil {
		return err
	}
	process, err := processOf(cfg)
	if err != nil {
		return exit.Usage(err)
	}
	process.Version, process.Log, process.Drain = version, log, o.drain
	process.Interceptors = a.Interceptors
	process.Temporal.Logger = sdklog.NewStructuredLogger(log)
	process.Started = func() {
		if err := notify(a.Getenv); err != nil {
			log.Warn("systemd does not learn that the edge serves", "error", err)
		}
	}
	if config.ThroughDoor(process.Temporal) {
		if err := cfg.Door.Check(); err != nil {
			return exit.Usage(err)
		}
		go enrol.Keep(ctx, cfg.Door.Addresses, cfg.Door.Directory(), log)
		for _, address := range cfg.Door.Addresses {
			process.Doors = append(process.Doors, func(ctx context.Context) (net.Conn, error) {
				return stream.Dial(ctx, cfg.Door.TLS(stream.Protocol), address)
			})
		}
	}
	relaunchOnHangup(ctx, log)
	return role.Run(ctx, process)
}

// processOf returns the options of a configuration.
func processOf(cfg *config.Config) (o role.ProcessOptions, err error) {
	edge := cfg.Edge
	if edge.Name == "" {
		return o, fmt.Errorf("%w; this configuration is %s", errNoName, cfg.Describe())
	}
	o = role.ProcessOptions{
		Name: edge.Name, Data: edge.Data, Addresses: edge.Addresses, MachineFile: cfg.Node.Machine, Metrics: edge.Metrics,
		Server: server.Options{Address: edge.Listen, Ports: edge.PortMap(), Files: edge.Certificates, Balancers: prefixes(edge.Balancers)},
	}
	o.Proxy.TrustedProxies = prefixes(edge.TrustedProxies)
	if err := edge.CheckCertificates(); err != nil {
		return o, err
	}
	if o.Server.ACME, err = acme(edge.ACME); err != nil {
		return o, err
	}
	if o.Codec, err = cfg.Encryption(); err != nil {
		return o, err
	}
	o.Temporal, err = cfg.TemporalOptions()
	return o, err
}

// acme returns the authority of public hostnames; nil for none.
func acme(c config.ACME) (*server.ACME, error) {
	if c.Directory == config.Off {
		return nil, nil
	}
	authority := &server.ACME{Directory: c.Directory, Email: c.Email}
	if c.Root != "" {
		text, err := os.ReadFile(c.Root)
		if err != nil {
			return nil, fmt.Errorf("read edge.acme.root: %w", err)
		}
		authority.Roots = x509.NewCertPool()
		if !authority.Roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read edge.acme.root: %s holds no certificate", c.Root)
		}
	}
	if c.DNS == "" {
		return authority, nil
	}
	settings, err := c.DNSSettings()
	if err != nil {
		return nil, err
	}
	authority.DNS, err = server.NewDNS(c.DNS, settings)
	return authority, err
}

// prefixes parses networks, which the configuration has validated.
func prefixes(networks []string) (list []netip.Prefix) {
	for _, network := range networks {
		list = append(list, netip.MustParsePrefix(network).Masked())
	}
	return list
}
