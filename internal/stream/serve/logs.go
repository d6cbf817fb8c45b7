package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
)

const (
	// firstBytes bounds the lines from before a stream, which one answer holds, and nextBytes
	// those that are read at once later.
	firstBytes, nextBytes = 4 << 20, 4 << 20
	// batch is how many bytes of lines one frame holds, or one line.
	batch = 32 << 10
	// alone is how many readers at a time read by themselves: the engine has other work.
	alone = 4
)

// readAlone reads lines for one reader.
func (s *Server) readAlone(ctx context.Context, in onnode.LogsInput) (found onnode.SourceLogs, err error) {
	select {
	case s.alone <- struct{}{}:
		defer func() { <-s.alone }()
	case <-ctx.Done():
		return found, ctx.Err()
	}
	result, err := s.node.Logs(ctx, in)
	if err == nil {
		found = result.Sources[0]
	}
	return found, err
}

// logs sends the output of a component: the last lines, and, if it follows, what comes.
func (s *Server) logs(ctx context.Context, a *stream.Accepted) error {
	h := a.Header
	source := onnode.LogSource{Component: h.Component, Container: h.Container()}
	to := newReader(a)
	if h.Logs.Beginning || len(h.Logs.After) > 0 {
		if err := s.remain(ctx, h); err != nil {
			return err
		}
		maps.Copy(to.seen, h.Logs.After)
		if err := note(a, stream.Note{Read: true}); err != nil {
			return err
		}
		return s.follow(ctx, source, to)
	}
	found, err := s.readAlone(ctx, onnode.LogsInput{
		// The mark of the last line is needed even if the line is not.
		Sources: []onnode.LogSource{source}, Lines: max(h.Logs.Lines, 1), Since: h.Logs.Since, Bytes: firstBytes,
	})
	if err != nil {
		return err
	}
	if h.Logs.Lines == 0 {
		found.Lines = nil
	}
	maps.Copy(to.seen, found.Marks)
	maps.Copy(to.found, found.Found)
	if err := to.send(entriesOf(found.Lines, nil)); err != nil {
		return err
	}
	if err := note(a, stream.Note{Read: true, Cut: found.Cut, Absent: found.Absent, After: found.Marks}); err != nil || !h.Logs.Follow {
		return err
	}
	return s.follow(ctx, source, to)
}

// remain returns an error if a container is gone that a former stream has not read to its
// end, and whose last lines are not kept.
func (s *Server) remain(ctx context.Context, h stream.Header) error {
	for id, mark := range h.Logs.After {
		_, err := s.engine.Inspect(ctx, id)
		if fault.Is(err, fault.NotFound) && s.feeds.keeps(h.Container(), id, mark) {
			continue
		}
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Invalid, "lines of %s may be lost: the container was removed before the stream went on", h.Container()).
				WithHint("see what its successor prints: mcp logs -f %s", h.Target())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// follow sends what containers print after the marks that the reader has seen. Readers
// share what is read of a source; one that falls behind reads by itself until it has
// caught up. It returns nil when the source ends.
func (s *Server) follow(ctx context.Context, source onnode.LogSource, to *reader) error {
	marks := maps.Clone(to.seen)
	f, leave := s.feeds.join(ctx, source, to.seen)
	defer leave()
	to.passBy(marks)
	silent := "" // the reason why nothing is read that the operator has
	for {
		position, is := f.place(to.seen, to.over)
		switch is {
		case lost:
			return fault.New(fault.Unavailable, "lines of %s are lost: the container was removed before this reader had them", source.Container).
				WithHint("read faster: mcp logs -f %s > FILE", to.stream.Header.Target())
		case behind:
			source.Marks = marks
			next, err := s.readAlone(ctx, onnode.LogsInput{Sources: []onnode.LogSource{source}, Wait: waiting, Bytes: nextBytes, Prompt: true})
			if err != nil {
				return err
			}
			if err := to.sendAll(marks, next); err != nil || next.Ended {
				return err
			}
			marks = next.Marks
			continue
		}
		for {
			lines, next, failed, state := f.after(ctx, position, silent)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if state == behind {
				marks = to.unended()
				break
			}
			if state == lost {
				return beganAnew(source.Container, to.stream.Header)
			}
			if err := to.send(lines); err != nil || state == done {
				return err
			}
			position = next
			if failed != silent {
				silent = failed
				if err := note(to.stream, stream.Note{Text: cmp.Or(failed, "it answers again")}); err != nil {
					return err
				}
			}
		}
	}
}

// beganAnew returns the error of a reader of a log that started over before it was read.
func beganAnew(container string, h stream.Header) error {
	return fault.New(fault.Unavailable, "lines of %s are lost: its log has reached log_size, and began anew before they were read", container).
		WithHint("raise log_size, or read faster: mcp logs -f %s > FILE", h.Target())
}

// reader is one operator who reads lines.
type reader struct {
	stream *stream.Accepted
	// seen are the marks after what was sent, by containers, also of those that are gone.
	seen map[string]runtime.LogMark
	// found are the deployments of containers, and over those that are gone, as sent to the
	// operator.
	found map[string]int
	over  map[string]bool
}

func newReader(a *stream.Accepted) *reader {
	return &reader{stream: a, seen: map[string]runtime.LogMark{}, found: map[string]int{}, over: map[string]bool{}}
}

// passBy records that the containers which are not among these do not concern the reader:
// they were gone before it came.
func (r *reader) passBy(marks map[string]runtime.LogMark) {
	for id := range r.seen {
		if _, own := marks[id]; !own {
			r.over[id] = true
		}
	}
}

// unended returns the marks of the containers that are not gone.
func (r *reader) unended() map[string]runtime.LogMark {
	marks := maps.Clone(r.seen)
	maps.DeleteFunc(marks, func(id string, _ runtime.LogMark) bool { return r.over[id] })
	return marks
}

// sendAll sends what was read after marks for this reader alone.
func (r *reader) sendAll(marks map[string]runtime.LogMark, found onnode.SourceLogs) error {
	if found.Lost {
		return beganAnew(found.Container, r.stream.Header)
	}
	begun, ended := origins(marks, found, r.found)
	return r.send(slices.Concat(begun, entriesOf(found.Lines, r.found), ended))
}

// send sends the lines that were not sent yet.
func (r *reader) send(lines []entry) error {
	var frame []byte
	after := stream.Marks{}
	flush := func() error {
		if len(frame) == 0 {
			return nil
		}
		marks, err := json.Marshal(after)
		if err == nil {
			frame = append(append(append(frame, `],"after":`...), marks...), '}')
			err = r.stream.Send(stream.Lines, frame)
		}
		frame = frame[:0] // it has been sent
		clear(after)
		return err
	}
	for _, line := range lines {
		if line.note != nil {
			if err := flush(); err != nil {
				return err
			}
			if err := r.origin(*line.note); err != nil {
				return err
			}
			continue
		}
		if line.id != "" && !r.seen[line.id].Before(line.mark) {
			continue
		}
		if len(frame)+len(line.text) > batch {
			if err := flush(); err != nil {
				return err
			}
		}
		if _, known := r.seen[line.id]; !known && line.id != "" {
			if err := flush(); err != nil {
				return err
			}
			if err := r.origin(stream.Note{Begun: &stream.Origin{ID: line.id, Deployment: line.deployment}}); err != nil {
				return err
			}
		}
		if line.id != "" {
			r.seen[line.id], after[line.id] = line.mark, line.mark
		}
		if len(frame) == 0 {
			frame = append(frame, `{"lines":[`...)
		} else {
			frame = append(frame, ',')
		}
		frame = append(frame, line.text...)
	}
	return flush()
}

// origin sends a note of a container that has begun or is gone, unless the operator has it.
func (r *reader) origin(n stream.Note) error {
	if n.Begun != nil {
		if _, known := r.seen[n.Begun.ID]; known {
			return nil
		}
		r.seen[n.Begun.ID] = runtime.LogMark{}
	}
	if n.Ended != nil {
		if r.over[n.Ended.ID] {
			return nil
		}
		r.over[n.Ended.ID] = true
	}
	return note(r.stream, n)
}

// note sends a note, with as much of its text as a frame holds.
func note(a *stream.Accepted, n stream.Note) error {
	n.Text = fmt.Sprintf("%.1000s", n.Text)
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return a.Send(stream.Notice, text)
}
