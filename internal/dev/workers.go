package dev

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

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
// in this process.
func (p *Platform) startWorkers(ctx context.Context) error {
	first, err := p.newStaff(ctx)
	if err != nil {
		return err
	}
	p.workers = keep(p.options.Logger, "workers", first, func(ctx context.Context) (part, error) { return p.newStaff(ctx) })
	return nil
}

// staff is the workers of this process, as a part.
type staff struct {
	client   client.Client
	listener *telemetry.Listener
	endpoint *telemetry.Listener // where Temporal's UI has payloads decrypted
	workers  *workers.Workers
	dead     chan struct{}
	stopped  chan struct{}
	once     sync.Once
}

func (p *Platform) newStaff(ctx context.Context) (*staff, error) {
	roles := p.roles()
	roles.Telemetry = telemetry.New(p.options.Version)
	o := p.connection()
	o.Logger = sdklog.NewStructuredLogger(p.options.SDKLogger)
	c, err := roles.Telemetry.Connect(o)
	if err != nil {
		return nil, err
	}
	listener := telemetry.Listen(p.options.listen, roles.Telemetry.Handler(), p.options.SDKLogger)
	endpoint := telemetry.Listen(p.options.codec, p.codec.Handler(p.info.UI), p.options.SDKLogger)
	w, err := workers.Start(ctx, c, roles)
	if err != nil {
		endpoint.Close()
		listener.Close()
		c.Close()
		return nil, fmt.Errorf("start the workers: %w", err)
	}
	s := &staff{client: c, listener: listener, endpoint: endpoint, workers: w, dead: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		select {
		case err := <-w.Failed():
			p.options.Logger.Error("worker failed", "error", err)
			close(s.dead)
		case <-s.stopped:
		}
	}()
	return s, nil
}

// roles returns all roles that a process can hold.
func (p *Platform) roles() workers.Options {
	insecure := []string{p.info.ImageRegistry}
	control := &workers.Control{
		PostgresURL: p.postgresURL,
		PortRest:    portRest,
		Namespace:   client.DefaultNamespace,
		Keys:        p.codec.Keys(),

		MonitorInterval: monitorInterval,
	}
	control.Images.Insecure = insecure
	return workers.Options{
		Control: control,
		Node: &workers.Node{
			Name:     Local,
			Socket:   p.info.Podman,
			Publish:  p.options.Publish,
			Insecure: insecure,

			MachineFile: p.path(machineName),
			TaskLogs:    p.path(tasksDir), Data: p.path(nodeDir), Policy: p.path(policyName),
			KeyFile: filepath.Join(p.path(keysDir), "node-"+Local), Signers: []string{p.signer},
		},
		Builder: &workers.Builder{
			KeyFile:    filepath.Join(p.path(keysDir), "builder-"+Local),
			Signers:    func() ([]string, error) { return []string{p.signer}, nil },
			ServesLogs: true,
			Name:       Local,
			Workspace:  p.options.Workspace,
			Socket:     p.info.Podman,
			Logs:       p.path(buildsDir),
			Insecure:   insecure,
			Policy:     p.path(policyName),
		},
		Logger:  p.options.SDKLogger,
		Version: p.options.Version,
		Grace:   grace,
		Codec:   p.codec,
	}
}

// Done is closed when a worker has failed.
func (s *staff) Done() <-chan struct{} { return s.dead }

// Stop lets running activities end, stops the workers, and then closes the
// listener that reports on them.
func (s *staff) Stop() {
	s.once.Do(func() {
		close(s.stopped)
		s.workers.Stop()
		s.endpoint.Close()
		s.listener.Close()
		s.client.Close()
	})
}
