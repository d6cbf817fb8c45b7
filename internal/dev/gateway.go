package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/gateway"
	"github.com/metacircular/mcp/internal/telemetry"
)

// GatewayInfo lists the addresses of the platform's gateway.
type GatewayInfo struct {
	// Address is where clients reach Temporal, each with an identity.
	Address string `json:"address"`
	Metrics string `json:"metrics"`
}

// Temporal returns the address of Temporal itself, which only the gateway is configured
// with; "" before the first start. Whoever uses it goes past the gateway.
func (i Info) Temporal() string { return parts.TemporalAddress(filepath.Join(i.Dir, temporalDir)) }

// choosePorts chooses the ports of Temporal and of its gateway, which are configured with
// one another's, so that both can start at once.
func (p *Platform) choosePorts(context.Context) error {
	wanted := parts.TemporalPorts{Frontend: p.options.temporalPort, UI: p.options.UIPort}
	temporal, err := parts.ChooseTemporalPorts(p.path(temporalDir), wanted)
	if err != nil {
		return err
	}
	door, err := parts.ChooseGatewayPorts(p.path(gatewayDir), parts.GatewayPorts{Door: p.options.GatewayPort})
	if err != nil {
		return err
	}
	p.options.temporalPort, p.options.UIPort = temporal.Frontend, temporal.UI
	p.options.gatewayMetrics = loopback(door.Metrics)
	p.info.UI = "http://" + loopback(temporal.UI)
	p.info.Gateway = GatewayInfo{Address: loopback(door.Door), Metrics: "http://" + p.options.gatewayMetrics + "/metrics"}
	return nil
}

// loopback returns the address of a port of 127.0.0.1.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// startGateway starts the gateway, for which Postgres must run. Temporal may start
// meanwhile.
func (p *Platform) startGateway(ctx context.Context) error {
	first, err := p.newDoor(ctx)
	if err != nil {
		return err
	}
	p.keep("gateway", first, func(ctx context.Context) (part, error) { return p.newDoor(ctx) })
	return nil
}

// gatewayGrace is how long open calls may take when the gateway stops. The workers have
// stopped before.
const gatewayGrace = time.Second

// door is the gateway in front of Temporal, as a part. It has the keys, and so the endpoint
// where Temporal's UI has payloads decrypted, too.
type door struct {
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // set before ended is closed
}

// newDoor starts the gateway, and returns when it serves.
func (p *Platform) newDoor(ctx context.Context) (*door, error) {
	upstream, namespace, err := p.upstream()
	if err != nil {
		return nil, err
	}
	measured := telemetry.New(p.options.Version)
	log := p.options.SDKLogger.With("part", "gateway")
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &door{cancel: cancel, ended: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(d.ended)
		defer func() { _ = upstream.Close() }()
		listener := telemetry.Listen(p.options.gatewayMetrics, measured.Handler(), log)
		defer listener.Close()
		endpoint := telemetry.Listen(p.options.codec, p.codec.Handler(p.info.UI), log)
		defer endpoint.Close()
		d.err = gateway.Serve(serving, gateway.Options{
			Listen: p.info.Gateway.Address, Doors: p.doors(), PostgresURL: p.postgresURL,
			KeyFile: p.gatewayKey(), Data: p.path(gatewayDir),
			Upstream: upstream, Namespace: namespace, Codec: p.codec,
			Version: p.options.Version, Logger: log, Telemetry: measured, Grace: gatewayGrace,
			Listening: func(string) { close(ready) },
		})
		if d.err != nil {
			log.Error("the gateway ends", "error", d.err)
		}
	}()
	select {
	case <-ready:
		return d, nil
	case <-d.ended:
	case <-ctx.Done():
		d.Stop()
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start the gateway: %w", ctx.Err())
	}
	switch {
	case d.err == nil:
		return nil, errors.New("start the gateway: it has ended")
	case errors.Is(d.err, gateway.ErrOtherKey):
		return nil, fault.Wrap(fault.Unauthorized, d.err, "start the gateway").
			WithHint("restore %s as it was, or begin anew: mcp dev down --destroy --dir %s", p.gatewayKey(), p.options.Dir)
	}
	return nil, named("start the gateway", d.err)
}

// named returns an error with what was done, and its hint.
func named(doing string, err error) error {
	f := fault.Of(err)
	f.Message = doing + ": " + f.Message
	return f
}

// upstream is the gateway's connection to Temporal. The environment is ignored.
func (p *Platform) upstream() (*grpc.ClientConn, string, error) {
	c, err := config.Load("", func(string) string { return "" }, func(c *config.Config) {
		c.Temporal.Address = loopback(p.options.temporalPort)
	})
	if err != nil {
		return nil, "", err
	}
	return c.Upstream()
}

// doors are the addresses of the gateway, for its clients.
func (p *Platform) doors() []string { return []string{p.info.Gateway.Address} }

// gatewayKey is the file of the key to which the gateway's keys in Postgres are sealed.
func (p *Platform) gatewayKey() string { return p.path(filepath.Join(gatewayDir, "gateway.key")) }

// Done is closed when the gateway has ended.
func (d *door) Done() <-chan struct{} { return d.ended }

// Stop ends the gateway, and the calls that take longer than its grace.
func (d *door) Stop() {
	d.cancel()
	<-d.ended
}
