package podman

import "sync"

// stops counts, by container id, the stops that were sent to podman and not
// answered: those in progress, and those that were cancelled or whose connection
// broke. Each may still end the container, whatever its state. The zero value is
// empty.
type stops struct {
	mu   sync.Mutex
	sent map[string]int
}

func (s *stops) send(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == nil {
		s.sent = map[string]int{}
	}
	s.sent[id]++
}

func (s *stops) answered(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent[id]--; s.sent[id] <= 0 {
		delete(s.sent, id)
	}
}

func (s *stops) unanswered(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[id]
}

// forget drops the stops of a container that was removed, or that was watched for
// lateStopTime.
func (s *stops) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sent, id)
}
