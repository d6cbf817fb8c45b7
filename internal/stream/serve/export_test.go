package serve

// Keep changes how many bytes of a source's lines are kept for its readers.
func (s *Server) Keep(bytes int) { s.feeds.keep = bytes }
