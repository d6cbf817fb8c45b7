package crash

import (
	"encoding/json"
	"net"
	"sync"
	"time"
)

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
