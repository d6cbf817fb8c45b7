package workers

import (
	"context"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// pingEvery is the time between two pings of an engine, and pingTime how long it may
// take to answer one.
const pingEvery, pingTime = 5 * time.Second, 5 * time.Second

// pings keeps the answer of an engine to the last ping. A request to /readyz neither
// adds to the engine's calls nor waits for one that hangs.
type pings struct {
	name string
	ping func(context.Context) error
	end  context.CancelFunc
	over chan struct{}

	first sync.Once
	asked chan struct{} // closed when there is an answer
	mu    sync.Mutex
	err   error
}

// newPings begins to ping an engine; stop ends that. Name names the engine and where it
// is.
func newPings(name string, ping func(context.Context) error) *pings {
	p := &pings{name: name, ping: ping, over: make(chan struct{}), asked: make(chan struct{})}
	ctx, end := context.WithCancel(context.Background())
	p.end = end
	go func() {
		defer close(p.over)
		for ctx.Err() == nil {
			p.set(p.once(ctx))
			select {
			case <-ctx.Done():
			case <-time.After(pingEvery):
			}
		}
	}()
	return p
}

// stop returns when the last ping has ended.
func (p *pings) stop() {
	p.end()
	<-p.over
}

// once pings the engine, and does not wait for one that hangs.
func (p *pings) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- p.ping(ctx) }()
	select {
	case err := <-answer:
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			return fault.Wrap(fault.Unavailable, err, "%s does not answer", p.name)
		}
	case <-ctx.Done():
	}
	return fault.New(fault.Unavailable, "%s does not answer", p.name)
}

func (p *pings) set(err error) {
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	p.first.Do(func() { close(p.asked) })
}

// check returns the answer to the last ping. It waits for the first one.
func (p *pings) check(ctx context.Context) error {
	select {
	case <-p.asked:
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "%s has not answered yet", p.name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
