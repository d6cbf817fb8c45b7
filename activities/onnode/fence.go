package onnode

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Fence keeps late activities of an older deployment from a node's
// containers. A workflow that is terminated gives up its lock while an activity
// of it may still be running; the deployment's number distinguishes the late one
// from the new one. A registry that was restored from a backup gives a number a second
// time: then the run distinguishes the two, and the number belongs to the one that came
// first.
//
// Once a newer deployment is seen, no older one begins a step, and the newer one
// goes on when the steps under way have ended: the containers that it has surveyed
// do not change meanwhile.
type Fence struct {
	// memory distinguishes this fence from that of a later process, which has not
	// seen the same deployments.
	memory   string
	mu       sync.Mutex
	services map[string]*guard
}

// identity is that of a deployment of a service: its number, and the run of its
// workflow.
type identity struct {
	number int
	run    string
}

// refuses reports whether a deployment may do nothing because another one, i, has
// been here.
func (i identity) refuses(other identity) bool {
	return i.number > other.number || i.number == other.number && i.run != other.run
}

// guard is the fence of one service.
type guard struct {
	newest   identity // the newest deployment that was seen
	closed   identity // the newest one that was undone here
	read     identity // the newest for which the containers' labels were read
	underWay map[*step]bool
	// ended is closed, and replaced, whenever a step ends.
	ended chan struct{}
}

// step is work of a deployment that changes containers of a service.
type step struct {
	service string
	identity
	// alone keeps other steps of the same deployment from running beside it.
	alone bool
	// adopted are the service's adopted containers.
	adopted []fleet.Adopted
	// closing keeps the deployment from beginning another step here.
	closing bool
	// stop ends the step's context: it begins no further call to the engine.
	stop context.CancelCauseFunc
}

// NewFence returns a fence that has seen no deployment.
func NewFence() *Fence { return &Fence{memory: rand.Text(), services: map[string]*guard{}} }

// guard returns that of a service; the caller holds the lock.
func (f *Fence) guard(service string) *guard {
	g := f.services[service]
	if g == nil {
		g = &guard{underWay: map[*step]bool{}, ended: make(chan struct{})}
		f.services[service] = g
	}
	return g
}

// see records a deployment and stops the steps of older ones; the caller holds the
// lock.
func (g *guard) see(service string, deployment identity) {
	if deployment.number > g.newest.number {
		g.newest = deployment
	}
	for s := range g.underWay {
		if g.newest.refuses(s.identity) {
			s.stop(over(service, s.identity, g.newest))
		}
	}
}

// over is the error of a deployment when a newer one, or another one of its number,
// was seen.
func over(service string, deployment, newest identity) error {
	if deployment.number == newest.number {
		return fault.New(fault.Conflict, "deployment %d of %s is not the one that was here: its number has been given twice", deployment.number, service)
	}
	return fault.New(fault.Conflict, "deployment %d of %s is over: deployment %d has begun", deployment.number, service, newest.number)
}

// enter begins a step once no other one excludes it. It returns the step's context;
// leave ends the step. It fails when a newer deployment was seen, or this one was
// already undone here.
func (f *Fence) enter(ctx context.Context, s *step) (stepping context.Context, leave func(), err error) {
	stepping, s.stop = context.WithCancelCause(ctx)
	for {
		ended, err := f.admit(s)
		if err != nil {
			s.stop(err)
			return nil, nil, err
		}
		if ended == nil {
			return stepping, func() { f.leave(s) }, nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			s.stop(ctx.Err())
			return nil, nil, ctx.Err()
		}
	}
}

// admit begins a step, or returns a channel that is closed before the next try.
func (f *Fence) admit(s *step) (ended <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.guard(s.service)
	g.see(s.service, s.identity)
	switch {
	case g.newest.refuses(s.identity):
		return nil, over(s.service, s.identity, g.newest)
	case s.closing:
		g.closed = s.identity // which is the newest
	case g.closed == s.identity:
		return nil, fault.New(fault.Conflict, "deployment %d of %s is being undone", s.number, s.service)
	}
	for other := range g.underWay {
		if other.identity != s.identity || other.alone || s.alone {
			return g.ended, nil
		}
	}
	g.underWay[s] = true
	return nil, nil
}

func (f *Fence) leave(s *step) {
	s.stop(nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.guard(s.service)
	delete(g.underWay, s)
	close(g.ended)
	g.ended = make(chan struct{})
}

// pass fails when a newer deployment was seen here.
func (f *Fence) pass(service string, deployment identity) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.guard(service)
	g.see(service, deployment)
	if g.newest.refuses(deployment) {
		return over(service, deployment, g.newest)
	}
	return nil
}

// settleTime is how long a survey waits for the steps of others; it is shorter
// than an attempt of a survey, so that the error names the step.
const settleTime = 3 * time.Second

// settle records a deployment that is about to survey, waits until no step of
// another is under way, and returns the number of the newest other one that was seen
// and keeps it out; 0 if none does.
func (f *Fence) settle(ctx context.Context, service string, deployment identity) (newest int, err error) {
	timeout := time.NewTimer(settleTime)
	defer timeout.Stop()
	for {
		newest, other, ended := f.othersUnderWay(service, deployment)
		switch {
		case ended != nil:
		case newest.refuses(deployment):
			return newest.number, nil
		default:
			return 0, nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-timeout.C:
			return 0, fault.New(fault.Unavailable, "deployment %d of %s still has a step under way", other, service)
		}
	}
}

// othersUnderWay records a deployment, and finds a step of another one: ended is
// nil if there is none.
func (f *Fence) othersUnderWay(service string, deployment identity) (newest identity, other int, ended <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.guard(service)
	g.see(service, deployment)
	for s := range g.underWay {
		if s.identity != deployment {
			return g.newest, s.number, g.ended
		}
	}
	return g.newest, 0, nil
}

// labelsRead reports whether the labels were read for this deployment.
func (f *Fence) labelsRead(service string, deployment identity) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.guard(service).read == deployment
}

func (f *Fence) recordRead(service string, deployment identity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g := f.guard(service); deployment.number >= g.read.number {
		g.read = deployment
	}
}
