package serve

import (
	"context"
	"slices"
	"time"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/stream"
)

// task sends the output of a run of a step or a job: the last lines, from its container or
// those that were kept, or, if it follows, all that the container prints, to its end.
// Absent says that there is no container, or none yet.
func (s *Server) task(ctx context.Context, a *stream.Accepted, absent bool) error {
	h := a.Header
	in := onnode.TaskLogInput{Service: h.Service, Task: *h.Task, Lines: max(h.Logs.Lines, 1), Bytes: firstBytes}
	if h.Logs.Follow {
		source := onnode.LogSource{Component: h.Component, Container: h.Container(), Ends: true}
		if absent {
			kept, err := s.node.TaskLog(ctx, in)
			if err != nil {
				return err
			}
			if !kept.Absent { // it has ended
				return note(a, stream.Note{Read: true, Absent: true})
			}
		}
		if err := note(a, stream.Note{Read: true, Absent: absent}); err != nil {
			return err
		}
		return s.follow(ctx, source, newReader(a))
	}
	found, err := s.node.TaskLog(ctx, in)
	if err != nil {
		return err
	}
	if h.Logs.Lines == 0 {
		found.Lines = nil
	}
	if oldest := time.Now().Add(-h.Logs.Since); h.Logs.Since > 0 {
		found.Lines = slices.DeleteFunc(found.Lines, func(l onnode.LogLine) bool { return l.Time.Before(oldest) })
	}
	if err := newReader(a).send(entriesOf(found.Lines, nil)); err != nil {
		return err
	}
	return note(a, stream.Note{Read: true, Cut: found.Cut, Absent: found.Absent})
}
