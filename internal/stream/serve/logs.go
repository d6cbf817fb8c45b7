package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
)

const (
	// firstBytes bounds the lines from before a stream, which one answer holds, and nextBytes
	// those that are read at once later.
	firstBytes, nextBytes = 4 << 20, 512 << 10
	// batch is how many bytes of lines one frame holds, or one line.
	batch = 32 << 10
	// alone is how many readers at a time read by themselves: the engine has other work.
	alone = 4
)

// readAlone reads lines for one reader.
func (s *Server) readAlone(ctx context.Context, in activities.LogsInput) (found activities.SourceLogs, err error) {
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
	source := activities.LogSource{Component: h.Component, Container: h.Container()}
	found, err := s.readAlone(ctx, activities.LogsInput{
		// The mark of the last line is needed even where that is not.
		Sources: []activities.LogSource{source}, Lines: max(h.Logs.Lines, 1), Since: h.Logs.Since, Bytes: firstBytes,
	})
	if err != nil {
		return err
	}
	if h.Logs.Lines == 0 {
		found.Lines = nil
	}
	to := reader{stream: a, seen: map[string]runtime.LogMark{}}
	maps.Copy(to.seen, found.Marks)
	if err := to.send(entriesOf(found.Lines)); err != nil {
		return err
	}
	if err := note(a, stream.Note{Read: true, Cut: found.Cut, Absent: found.Absent}); err != nil || !h.Logs.Follow {
		return err
	}
	return s.follow(ctx, source, found.Marks, &to)
}

// follow sends what containers print after the marks. Readers share what is read of a
// source; one that falls behind reads by itself until it has caught up.
func (s *Server) follow(ctx context.Context, source activities.LogSource, marks map[string]runtime.LogMark, to *reader) error {
	f, leave := s.feeds.join(ctx, source, marks)
	defer leave()
	silent := "" // the reason why nothing is read, as the operator knows it
	for {
		position, is := f.place(to.seen)
		switch is {
		case lost:
			return fault.New(fault.Unavailable, "lines of %s are lost: the container was removed before this reader had them", source.Container).
				WithHint("read faster: mcp logs -f %s > FILE", to.stream.Header.Target())
		case behind:
			source.Marks = marks
			next, err := s.readAlone(ctx, activities.LogsInput{Sources: []activities.LogSource{source}, Wait: waiting, Bytes: nextBytes})
			if err != nil {
				return err
			}
			if err := to.sendAll(next); err != nil {
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
				marks = maps.Clone(to.seen)
				break
			}
			if state == lost {
				return beganAnew(source.Container, to.stream.Header)
			}
			if err := to.send(lines); err != nil {
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

// beganAnew is the error of a reader of a log that was bounded before it was read.
func beganAnew(container string, h stream.Header) error {
	return fault.New(fault.Unavailable, "lines of %s are lost: its log has reached log_size, and began anew before they were read", container).
		WithHint("raise log_size, or read faster: mcp logs -f %s > FILE", h.Target())
}

// reader is one operator who reads lines.
type reader struct {
	stream *stream.Accepted
	// seen are the marks after what was sent, by containers, also of those that are gone.
	seen map[string]runtime.LogMark
}

// sendAll sends what was read for this reader alone.
func (r *reader) sendAll(found activities.SourceLogs) error {
	if found.Lost {
		return beganAnew(found.Container, r.stream.Header)
	}
	return r.send(entriesOf(found.Lines))
}

// send sends the lines that were not sent yet.
func (r *reader) send(lines []entry) error {
	var frame []byte
	flush := func() error {
		if len(frame) == 0 {
			return nil
		}
		frame = append(frame, ']')
		err := r.stream.Send(stream.Lines, frame)
		frame = frame[:0] // it has been sent
		return err
	}
	for _, line := range lines {
		if line.id != "" {
			if !r.seen[line.id].Before(line.mark) {
				continue
			}
			r.seen[line.id] = line.mark
		}
		if len(frame)+len(line.text) > batch {
			if err := flush(); err != nil {
				return err
			}
		}
		separator := byte(',')
		if len(frame) == 0 {
			separator = '['
		}
		frame = append(append(frame, separator), line.text...)
	}
	return flush()
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
