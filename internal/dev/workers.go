package dev

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/workers"
)

// portRest is how long a released port stays unallocated.
const portRest = time.Minute

// monitorInterval is how often the node is observed.
const monitorInterval = 30 * time.Second

// grace is how long running activities may take when the platform stops: enough
// for short ones. The user is waiting, and the next start resumes the others.
const grace = 3 * time.Second

// startWorkers starts a control worker, the node local and the builder local
// in this process, each with its own identity.
func (p *Platform) startWorkers(ctx context.Context) error {
	first, err := p.newStaff(ctx)
	if err != nil {
		return err
	}
	p.workers = keep(p.options.Logger, "workers", first, p.again(func(ctx context.Context) (part, error) { return p.newStaff(ctx) }))
	return nil
}

// staff is the workers of this process, as a part.
type staff struct {
	listener *telemetry.Listener
	members  []member
	dead     chan struct{}
	dies     func() // closes dead
	stopped  chan struct{}
	once     sync.Once
}

// member is the workers of one identity, with its connection.
type member struct {
	role    identity.Role
	client  client.Client
	workers *workers.Workers
}

func (p *Platform) newStaff(ctx context.Context) (*staff, error) {
	measured := telemetry.New(p.options.Version)
	s := &staff{listener: telemetry.Listen(p.options.listen, measured.Handler(), p.options.SDKLogger), dead: make(chan struct{}), stopped: make(chan struct{})}
	s.dies = sync.OnceFunc(func() { close(s.dead) })
	for _, r := range p.roles() {
		if err := p.hire(ctx, s, measured, r.role, r.options); err != nil {
			s.Stop()
			return nil, fmt.Errorf("start the workers of %s/%s: %w", r.role, Local, err)
		}
	}
	measured.Check("temporal", s.check)
	return s, nil
}

// hire adds the workers of one identity.
func (p *Platform) hire(ctx context.Context, s *staff, measured *telemetry.Telemetry, role identity.Role, o workers.Options) error {
	connection, behind := p.connection(role)
	connection.Logger = sdklog.NewStructuredLogger(p.options.SDKLogger)
	c, err := measured.Connect(connection)
	if err != nil {
		return err
	}
	o.Telemetry, o.Codec = measured, behind
	o.Logger, o.Version, o.Grace = p.options.SDKLogger, p.options.Version, grace
	w, err := workers.Start(ctx, c, o)
	if err != nil {
		c.Close()
		return err
	}
	s.members = append(s.members, member{role, c, w})
	go func() {
		select {
		case err := <-w.Failed():
			p.options.Logger.Error("worker failed", "identity", string(role)+"/"+Local, "error", err)
			s.dies()
		case <-s.stopped:
		}
	}()
	return nil
}

// check fails if Temporal does not answer one of the identities.
func (s *staff) check(ctx context.Context) error {
	for _, m := range s.members {
		if _, err := m.client.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return fmt.Errorf("as %s: %w", m.role, err)
		}
	}
	return nil
}

// role is a role that a process can hold, with its identity.
type role struct {
	role    identity.Role
	options workers.Options
}

// roles returns all roles that a process can hold. The control worker is the first: the
// others register through it.
func (p *Platform) roles() []role {
	insecure := []string{p.info.ImageRegistry}
	control := &workers.Control{
		PostgresURL: p.postgresURL,
		PortRest:    portRest,
		Namespace:   client.DefaultNamespace,
		Keys:        p.codec.Keys(),

		MonitorInterval: monitorInterval,
	}
	control.Images.Insecure = insecure
	node := &workers.Node{
		Name:     Local,
		Socket:   p.info.Podman,
		Publish:  p.options.Publish,
		Insecure: insecure,

		MachineFile: p.path(machineName),
		TaskLogs:    p.path(tasksDir), Data: p.path(nodeDir), Policy: p.path(policyName),
		KeyFile: filepath.Join(p.path(keysDir), "node-"+Local), Signers: []string{p.signer},
		Doors: []func(context.Context) (net.Conn, error){p.dialStreams},
	}
	builder := &workers.Builder{
		KeyFile:    filepath.Join(p.path(keysDir), "builder-"+Local),
		Signers:    func() ([]string, error) { return []string{p.signer}, nil },
		ServesLogs: true,
		Name:       Local,
		Workspace:  p.options.Workspace,
		Socket:     p.info.Podman,
		Logs:       p.path(buildsDir),
		Insecure:   insecure,
		Policy:     p.path(policyName),
	}
	return []role{
		{identity.Control, workers.Options{Control: control}},
		{identity.Node, workers.Options{Node: node}},
		{identity.Builder, workers.Options{Builder: builder}},
	}
}

// dialStreams connects the node to the gateway for streams.
func (p *Platform) dialStreams(ctx context.Context) (net.Conn, error) {
	return stream.Dial(ctx, p.identityOf(identity.Node).ClientTLS(stream.Protocol), p.info.Gateway.Address)
}

// Done is closed when a worker has failed.
func (s *staff) Done() <-chan struct{} { return s.dead }

// Stop lets running activities end, stops the workers, and then closes the
// listener that reports on them.
func (s *staff) Stop() {
	s.once.Do(func() {
		close(s.stopped)
		var ending sync.WaitGroup
		for _, m := range s.members {
			ending.Go(m.workers.Stop)
		}
		ending.Wait()
		s.listener.Close()
		for _, m := range s.members {
			m.client.Close()
		}
	})
}
