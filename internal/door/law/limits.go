package law

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/identity"
)

// Limits bound the calls of one identity, over all its connections to one door. Zero is no
// limit.
type Limits struct {
	// Calls per second, and how many at once after a pause.
	Calls float64
	Burst int
	// Bytes per second of requests, and how many at once after a pause.
	Bytes      float64
	BytesBurst int
	// Largest is the size of the largest request, in bytes.
	Largest int
	// Waiting is how many calls may be under way at once.
	Waiting int
}

// DefaultLimits returns limits that no honest identity comes near. Control workers carry the
// whole fleet's calls. Sizes are those in the clear; Temporal gets a fraction of that.
func DefaultLimits() map[identity.Role]Limits {
	worker := Limits{Calls: 200, Burst: 800, Bytes: 2 << 20, BytesBurst: 24 << 20, Largest: 8 << 20, Waiting: 200}
	person := Limits{Calls: 200, Burst: 1000, Bytes: 4 << 20, BytesBurst: 32 << 20, Largest: 12 << 20, Waiting: 500}
	return map[identity.Role]Limits{
		identity.Node: worker, identity.Edge: worker, identity.Builder: worker,
		identity.Reader: person, identity.Deployer: person, identity.Operator: person,
		identity.Control: {Largest: maxMessage},
	}
}

// limiters bound the calls of each identity.
type limiters struct {
	limits map[identity.Role]Limits

	mu      sync.Mutex
	callers map[string]*limiter
}

// limiter bounds the calls of one identity.
type limiter struct {
	calls, bytes *rate.Limiter
	// lines bounds the lines of the log.
	lines *rate.Limiter
	slots chan struct{} // nil for no limit
}

// linesPerSecond and linesAtOnce bound how many refusals of one identity are logged; all of
// them are counted.
const linesPerSecond, linesAtOnce = 1, 20

func newLimiters(limits map[identity.Role]Limits) *limiters {
	return &limiters{limits: limits, callers: map[string]*limiter{}}
}

// callersKept bounds the identities that have a limiter: with more, all limiters start over.
const callersKept = 10000

// of returns the limiter of an identity.
func (l *limiters) of(caller identity.Identity) *limiter {
	limits := l.limits[caller.Role]
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.callers[caller.String()]; found != nil {
		return found
	}
	if len(l.callers) >= callersKept {
		clear(l.callers)
	}
	made := &limiter{calls: rateOf(limits.Calls, limits.Burst), bytes: rateOf(limits.Bytes, limits.BytesBurst), lines: rateOf(linesPerSecond, linesAtOnce)}
	if limits.Waiting > 0 {
		made.slots = make(chan struct{}, limits.Waiting)
	}
	l.callers[caller.String()] = made
	return made
}

func rateOf(perSecond float64, burst int) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// admit bounds a call before anything else is done for it. The caller of admit calls end
// when the call has ended.
func (l *limiters) admit(_ context.Context, c *call) (end func(), err error) {
	limits := l.limits[c.caller.Role]
	size := proto.Size(c.req)
	if limits.Largest > 0 && size > limits.Largest {
		return nil, c.refused(TooLarge, "a request of %d bytes is larger than %d", size, limits.Largest).hint("send less at once")
	}
	of := l.of(c.caller)
	if !of.calls.Allow() {
		return nil, c.refused(TooMuch, "it makes more than %.0f calls a second", limits.Calls)
	}
	if limits.Bytes > 0 && !of.bytes.AllowN(time.Now(), size) {
		return nil, c.refused(TooMuch, "it sends more than %.0f bytes a second", limits.Bytes)
	}
	if of.slots == nil {
		return func() {}, nil
	}
	select {
	case of.slots <- struct{}{}:
		return func() { <-of.slots }, nil
	default:
		return nil, c.refused(TooMuch, "more than %d of its calls are under way", limits.Waiting)
	}
}
