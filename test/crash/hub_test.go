package crash

import (
	"encoding/json"
	"net"
	"sync"
	"time"

	"github.com/metacircular/mcp/test/crash/announce"
)

// hub receives the moments that announcers send, and passes each to the case of its
// workflow. The activity goes on when the case has handled it.
type hub struct {
	listener net.Listener
	mu       sync.Mutex
	cases    map[string]func(announce.Moment) // by workflow id
}

func newHub(socket string) (*hub, error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	h := &hub{listener: listener, cases: map[string]func(announce.Moment){}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go h.receive(conn)
		}
	}()
	return h, nil
}

func (h *hub) receive(conn net.Conn) {
	defer conn.Close()
	var m announce.Moment
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // its sender may be stopped
	if json.NewDecoder(conn).Decode(&m) != nil {
		return
	}
	h.mu.Lock()
	on := h.cases[m.Workflow]
	h.mu.Unlock()
	if on != nil {
		on(m)
	}
}

// subscribe has on called for each moment of a workflow.
func (h *hub) subscribe(workflow string, on func(announce.Moment)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cases[workflow] = on
}

// unsubscribe undoes subscribe.
func (h *hub) unsubscribe(workflow string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.cases, workflow)
}

func (h *hub) close() { _ = h.listener.Close() }
