package crash

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
)

// moment is the beginning or the end of one attempt of an activity.
type moment struct {
	Workflow, Activity, ID string
	Attempt                int32
	After                  bool
}

// announcer tells the harness of every moment, from inside the process in
// which it comes, and waits until it may go on. After is told when the
// activity has done its work and Temporal does not know it yet. A new activity
// is told of like any other.
type announcer struct {
	interceptor.WorkerInterceptorBase
	socket string
}

func (a *announcer) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &announced{interceptor.ActivityInboundInterceptorBase{Next: next}, a.socket}
}

type announced struct {
	interceptor.ActivityInboundInterceptorBase
	socket string
}

func (a *announced) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	m := moment{Workflow: info.WorkflowExecution.ID, Activity: info.ActivityType.Name, ID: info.ActivityID, Attempt: info.Attempt}
	a.tell(m)
	out, err := a.Next.ExecuteActivity(ctx, in)
	m.After = true
	a.tell(m)
	return out, err
}

// tell returns when the harness closes the connection. A harness that is gone
// holds nobody up.
func (a *announced) tell(m moment) {
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	if json.NewEncoder(conn).Encode(m) == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}

// stage hears what announcers tell, and lets the case that a workflow belongs
// to decide when to go on.
type stage struct {
	listener net.Listener
	mu       sync.Mutex
	cases    map[string]func(moment)
}

func newStage(socket string) (*stage, error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	s := &stage{listener: listener, cases: map[string]func(moment){}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.hear(conn)
		}
	}()
	return s, nil
}

func (s *stage) hear(conn net.Conn) {
	defer conn.Close()
	var m moment
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // its sender may be stopped
	if json.NewDecoder(conn).Decode(&m) != nil {
		return
	}
	s.mu.Lock()
	on := s.cases[m.Workflow]
	s.mu.Unlock()
	if on != nil {
		on(m)
	}
}

// direct gives a workflow's moments to on; nil for nobody.
func (s *stage) direct(workflow string, on func(moment)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cases[workflow] = on
}

func (s *stage) close() { _ = s.listener.Close() }

// point is where a fault strikes: before, inside or after the nth activity of
// that name in a deploy.
type point struct {
	activity string
	nth      int
	where    string
}

const (
	before = "before"
	inside = "inside"
	after  = "after"
)

// counter tells which activity of its name a moment belongs to.
type counter struct {
	mu    sync.Mutex
	count map[string]int
	nth   map[string]int // by activity id
}

func newCounter() *counter { return &counter{count: map[string]int{}, nth: map[string]int{}} }

func (c *counter) of(m moment) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.nth[m.ID]; !known {
		c.count[m.Activity]++
		c.nth[m.ID] = c.count[m.Activity]
	}
	return c.nth[m.ID]
}

// getenv hides from mcp what the developer's shell says of another.
func getenv(name string) string {
	for _, prefix := range []string{"TEMPORAL_", "MCP_"} {
		if len(name) > len(prefix) && name[:len(prefix)] == prefix {
			return ""
		}
	}
	return os.Getenv(name)
}
