package serve

import "time"

// Keep changes how many bytes of a source's lines are kept for its readers.
func (s *Server) Keep(bytes int) { s.feeds.keep = bytes }

// Linger changes how long a source is read after its last reader has gone.
func (s *Server) Linger(d time.Duration) { s.feeds.linger = d }
