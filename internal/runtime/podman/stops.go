package podman

import "sync"

// stops counts, by container id, the stops that podman was sent and has not
// answered: those under way, and those whose caller went away or whose
// connection broke. Each of them may still end the container, however it looks
// now. The zero one has none.
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

// forget is for a container that is gone, or that was watched for long enough.
func (s *stops) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sent, id)
}
