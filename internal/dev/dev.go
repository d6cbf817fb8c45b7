package dev

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Up starts the platform and returns when it is ready: every part answers and
// the workers poll. Ctx bounds the start alone; Down stops the platform.
func Up(ctx context.Context, o Options) (*Platform, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Platform{options: o, info: Info{
		Dir: o.Dir, PID: os.Getpid(), Config: filepath.Join(o.Dir, configName),
		Workspace: o.Workspace, Services: o.Services, Publish: o.Publish,
		Metrics:           "http://" + o.listen + "/metrics",
		EncryptionKeyFile: filepath.Join(o.Dir, keysName), Codec: "http://" + o.codec,
		Identities: filepath.Join(o.Dir, identitiesDir),
	}}
	if err := p.findPrograms(); err != nil {
		return nil, err
	}
	p.findEdge()
	lock, err := acquire(o.Dir)
	if err != nil {
		return nil, err
	}
	p.lock = lock
	p.afterKill()
	if err := p.openKeys(); err != nil {
		release(o.Dir, p.lock)
		return nil, err
	}
	if err := p.start(ctx); err != nil {
		p.Down()
		return nil, err
	}
	return p, nil
}

// afterKill detects that the last platform in this directory was killed. The
// kernel then signals its parts, which may still be stopping: this platform's
// parts must wait for their ports rather than choose other ones.
func (p *Platform) afterKill() {
	former, err := ReadInfo(p.options.Dir)
	if err != nil {
		return // it stopped in order, or was never ready
	}
	_ = os.Remove(p.path(infoName))
	p.former, p.settle = former, 10*time.Second
	o := &p.options
	o.temporalPort = portOf(former.Temporal())
	o.GatewayPort = cmp.Or(o.GatewayPort, portOf(former.Gateway.Address))
	o.UIPort = cmp.Or(o.UIPort, portOf(former.UI))
	o.RegistryPort = cmp.Or(o.RegistryPort, portOf(former.ImageRegistry))
	if former.Edge != nil {
		o.HTTPPort = cmp.Or(o.HTTPPort, portOf(former.Edge.HTTP))
		o.HTTPSPort = cmp.Or(o.HTTPSPort, portOf(former.Edge.HTTPS))
	}
}

// start starts the parts concurrently, and then the workers.
func (p *Platform) start(ctx context.Context) error {
	if err := p.persist(ctx, p.choosePorts); err != nil {
		return err
	}
	group, starting := errgroup.WithContext(ctx)
	for _, start := range []func(context.Context) error{p.startTemporal, p.startImageRegistry, p.startPodman, p.chooseEdge} {
		group.Go(func() error { return p.persist(starting, start) })
	}
	group.Go(func() error {
		for _, start := range []func(context.Context) error{p.startPostgres, p.startGateway} {
			if err := p.persist(starting, start); err != nil {
				return err
			}
		}
		return p.enrolAll(starting)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	p.startRenewals()
	if err := p.writePolicy(); err != nil {
		return err
	}
	if err := p.loadSigner(); err != nil {
		return err
	}
	if err := p.writeConfig(); err != nil {
		return err
	}
	if err := p.startWorkers(ctx); err != nil {
		return err
	}
	if err := p.startEdge(ctx); err != nil {
		return err
	}
	if err := p.writeSettings(); err != nil {
		return err
	}
	return p.writeInfo()
}

// persist starts a part, and retries while a part of the last platform may
// still hold a resource it needs.
func (p *Platform) persist(ctx context.Context, start func(context.Context) error) error {
	for giveUp := time.Now().Add(p.settle); ; {
		err := start(ctx)
		if err == nil || ctx.Err() != nil || !time.Now().Before(giveUp) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// startRenewals renews the certificates of the identities until the platform stops.
func (p *Platform) startRenewals() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.keepIdentities(ctx)
	}()
	p.endRenewals = func() {
		cancel()
		<-ended
	}
}

// Down stops the workers and then the parts, and returns when all have ended.
// The containers of services keep running, and the next Up in the same
// directory finds them and all other data.
func (p *Platform) Down() {
	if p.endRenewals != nil {
		p.endRenewals()
	}
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
