package law

import (
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/identity"
)

// ownersKept bounds the runs that are remembered; the others are looked up in
// Temporal.
const ownersKept = 20000

// owners remembers who has started runs that only read.
type owners struct {
	mu   sync.Mutex
	runs map[startedRun]struct{}
}

type startedRun struct{ caller, id, run string }

func newOwners() *owners { return &owners{runs: map[startedRun]struct{}{}} }

func (o *owners) add(caller identity.Identity, id, run string) {
	if run == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.runs) >= ownersKept {
		clear(o.runs)
	}
	o.runs[startedRun{caller.String(), id, run}] = struct{}{}
}

// has reports whether the caller is known to have started the given run.
func (o *owners) has(caller identity.Identity, id, run string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.runs[startedRun{caller.String(), id, run}]
	return ok
}

// remember keeps the run in the answer to a start, if the start has made it.
func (s *startedRun) remember(c *call, answer proto.Message) {
	in, ok := answer.(interface {
		GetRunId() string
		GetStarted() bool
	})
	if ok && in.GetStarted() {
		c.law.owners.add(c.caller, s.id, in.GetRunId())
	}
}
