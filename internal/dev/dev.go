// Package dev is the local platform, all that mcp stands on in one directory:
// Temporal with its UI, Postgres, an image registry, podman, and the workers.
package dev

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Local is the name of the platform's node and of its builder.
const Local = "local"

// Options says how to bring the platform up.
type Options struct {
	// Dir holds all of the platform's data; it is made if it is missing.
	Dir string
	// Workspace is what the builder builds from, Services where the CLI finds
	// definitions; "" for those of the last start, or the working directory
	// and services in it.
	Workspace, Services string
	// Ports of 127.0.0.1; 0 for those of the last start, or free ones.
	RegistryPort, TemporalPort, UIPort int
	// Socket is that of a podman to use; "" for the last start's.
	Socket string
	// MachineSocket is used where Socket is "" and a podman answers there;
	// else the platform runs one of its own, with storage of its own.
	MachineSocket string
	// Publish is the address that routes are published on; "" for that of the last
	// start, or 127.0.0.1.
	Publish string
	// listen is where metrics and health are served: where they were at the last
	// start, or at a free port.
	listen string
	// Programs is where the programs temporal and registry are looked for
	// first; "" for the directory of this one.
	Programs string
	// Version is mcp's own.
	Version string
	// Logger gets what the platform has to say, SDKLogger what Temporal's SDK
	// and the workers have; slog's default where nil.
	Logger, SDKLogger *slog.Logger
}

// Info says where the parts of a platform are.
type Info struct {
	Dir           string `json:"dir"`
	PID           int    `json:"pid"`
	Config        string `json:"config"`
	Temporal      string `json:"temporal"`
	UI            string `json:"ui"`
	ImageRegistry string `json:"image_registry"`
	Postgres      string `json:"postgres"`
	Podman        string `json:"podman"`
	Workspace     string `json:"workspace"`
	Services      string `json:"services"`
	// Metrics is the URL that Prometheus scrapes; /healthz and /readyz are beside.
	Metrics string `json:"metrics"`
	Publish string `json:"publish"`
	// PrivatePodman is set where the platform runs a podman of its own.
	PrivatePodman bool `json:"private_podman"`
}

// Platform is a running local platform.
type Platform struct {
	options     Options
	temporal    string // the program
	registry    string // the program
	lock        *os.File
	settle      time.Duration // see afterKill
	former      Info          // see afterKill
	info        Info
	postgresURL string
	mu          sync.Mutex // guards keepers, while parts start side by side
	keepers     []*keeper
	workers     *keeper
}

// Up brings the platform up and returns when it is ready: every part answers,
// and the workers poll. Ctx bounds the start alone; Down ends the platform.
func Up(ctx context.Context, o Options) (*Platform, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Platform{options: o, info: Info{
		Dir: o.Dir, PID: os.Getpid(), Config: filepath.Join(o.Dir, configName),
		Workspace: o.Workspace, Services: o.Services, Publish: o.Publish,
		Metrics: "http://" + o.listen + "/metrics",
	}}
	if err := p.findPrograms(); err != nil {
		return nil, err
	}
	lock, err := acquire(o.Dir)
	if err != nil {
		return nil, err
	}
	p.lock = lock
	p.afterKill()
	if err := p.start(ctx); err != nil {
		p.Down()
		return nil, err
	}
	return p, nil
}

// afterKill notices that the last platform here was killed. Its parts then get
// to know that from the kernel, and may still be about to end: this one's must
// wait for their ports rather than take others beside them.
func (p *Platform) afterKill() {
	former, err := ReadInfo(p.options.Dir)
	if err != nil {
		return // it came down as it should, or was never ready
	}
	_ = os.Remove(p.path(infoName))
	p.former, p.settle = former, 10*time.Second
	o := &p.options
	o.TemporalPort = cmp.Or(o.TemporalPort, portOf(former.Temporal))
	o.UIPort = cmp.Or(o.UIPort, portOf(former.UI))
	o.RegistryPort = cmp.Or(o.RegistryPort, portOf(former.ImageRegistry))
}

// complete fills in what was left open and makes the directory.
func (o *Options) complete() error {
	if o.Programs == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		o.Programs = filepath.Dir(self)
	}
	if err := o.recall(); err != nil {
		return err
	}
	for _, path := range []*string{&o.Dir, &o.Workspace, &o.Services, &o.Programs} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
		*path = absolute
	}
	if err := o.wantWorkspace(); err != nil {
		return err
	}
	for _, logger := range []**slog.Logger{&o.Logger, &o.SDKLogger} {
		if *logger == nil {
			*logger = slog.Default()
		}
	}
	// Others may pass through: Postgres, started by root, runs as a user of
	// its own. What is secret in here has modes of its own.
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("make the platform's directory: %w", err)
	}
	return nil
}

// start starts the parts side by side, and then the workers.
func (p *Platform) start(ctx context.Context) error {
	group, starting := errgroup.WithContext(ctx)
	for _, start := range []func(context.Context) error{p.startTemporal, p.startImageRegistry, p.startPostgres, p.startPodman} {
		group.Go(func() error { return p.persist(starting, start) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := p.writeConfig(); err != nil {
		return err
	}
	if err := p.startWorkers(ctx); err != nil {
		return err
	}
	if err := p.writeSettings(); err != nil {
		return err
	}
	return p.writeInfo()
}

// persist starts a part, and tries again while the last platform's may still
// be in its way.
func (p *Platform) persist(ctx context.Context, start func(context.Context) error) error {
	for giveUp := time.Now().Add(p.settle); ; {
		err := start(ctx)
		if err == nil || ctx.Err() != nil || !time.Now().Before(giveUp) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// Info says where everything is.
func (p *Platform) Info() Info { return p.info }

// Down ends the workers and then the parts, and returns when all are gone.
// Containers of services run on, and the next Up in the same directory finds
// them and everything else again.
func (p *Platform) Down() {
	if p.workers != nil {
		p.workers.stop()
	}
	var ending sync.WaitGroup
	for _, k := range p.keepers {
		ending.Go(k.stop)
	}
	ending.Wait()
	release(p.options.Dir, p.lock)
}
