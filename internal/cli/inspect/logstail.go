package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// begin opens a stream, and reads the lines from before it.
func (f *streamed) begin(ctx context.Context, t *tail) error {
	of := stream.LogsRequest{Lines: f.o.lines, Since: f.o.since, Follow: f.o.follow}
	if err := f.open(ctx, t, of); err != nil {
		return err
	}
	for !t.note.Read {
		batch, note, err := t.call.NextOutput()
		if err != nil {
			return err
		}
		t.at.Lines = append(t.at.Lines, session.LinesOf(batch)...)
		t.note = note
	}
	maps.Copy(t.marks, t.note.After)
	return nil
}

func (f *streamed) open(ctx context.Context, t *tail, of stream.LogsRequest) (err error) {
	h := session.HeaderOf(stream.Logs, t.service, t.at)
	h.Logs = &of
	t.call, err = f.gateway.call(ctx, h)
	return err
}

// resume opens a stream that goes on after what was shown; after nothing, from the
// beginning.
func (f *streamed) resume(ctx context.Context, t *tail) error {
	f.mu.Lock()
	of := stream.LogsRequest{Follow: true, Beginning: len(t.marks) == 0, After: maps.Clone(t.marks)}
	f.mu.Unlock()
	return f.open(ctx, t, of)
}

// start follows a tail in the background. One that has no stream yet is read from the
// beginning of its containers.
func (f *streamed) start(ctx context.Context, t *tail) {
	ctx, t.end = context.WithCancel(ctx)
	f.all.Go(func() {
		defer t.end()
		err := f.follow(ctx, t)
		f.hint(t)
		if err == nil || ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.failed == nil {
			f.failed = session.CutOff(placed(err, t.at))
		}
		f.end()
	})
}

// follow shows what comes. If the stream breaks, it goes on with another one, after the
// last line that was shown. It ends without an error when the component has left the node.
func (f *streamed) follow(ctx context.Context, t *tail) error {
	reported := "" // the reason why nothing is read that was printed last
	for attempt := 0; ; attempt++ {
		var err error
		if t.call == nil {
			if pause(ctx, session.AgainAfter(attempt)) != nil {
				return nil
			}
			err = f.resume(ctx, t)
		}
		if err == nil {
			if reported != "" {
				reported = ""
				f.say(t, "it goes on where it was")
			}
			attempt = -1 // the next one follows at once
			err = f.showNext(ctx, t)
			t.call = nil
		}
		switch left := f.left(t); {
		case ctx.Err() != nil || left:
			return nil
		case !session.Again(err):
			return err
		}
		if message := placed(err, t.at).Message; message != reported {
			reported = message
			f.say(t, "%s; trying again", message)
		}
	}
}

// showNext shows what a stream brings, until it ends.
func (f *streamed) showNext(ctx context.Context, t *tail) error {
	call := t.call
	defer call.Close()
	defer context.AfterFunc(ctx, func() { call.Close() })()
	for {
		batch, note, err := call.NextOutput()
		if errors.Is(err, io.EOF) {
			err = fault.New(fault.Invalid, "the stream from node %s has ended, although it follows", t.at.Node)
		}
		if err != nil {
			return err
		}
		if !f.take(t, batch, note) {
			f.end()
			return ctx.Err()
		}
		if f.left(t) {
			return nil
		}
	}
}

// take shows lines, or a note. It reports whether it could.
func (f *streamed) take(t *tail, batch stream.Batch, note stream.Note) bool {
	f.mu.Lock()
	at := t.at
	at.Lines = session.LinesOf(batch)
	shown := f.show.print(t.service, []reads.ComponentLogs{at})
	maps.Copy(t.marks, batch.After)
	if note.Begun != nil {
		t.marks[note.Begun.ID] = runtime.LogMark{}
	}
	if note.Ended != nil {
		delete(t.marks, note.Ended.ID)
	}
	f.mu.Unlock()
	switch {
	case note.Text != "":
		f.say(t, "%s", note.Text)
	case note.Begun != nil:
		f.say(t, "%s begins on %s", container(note.Begun), t.at.Node)
		f.hint(t)
	case note.Ended != nil:
		f.say(t, "%s has ended on %s", container(note.Ended), t.at.Node)
		f.hint(t)
	}
	return shown
}

// container names one for people.
func container(of *stream.Origin) string {
	if of.Deployment == 0 {
		return "a container"
	}
	return fmt.Sprintf("the container of deployment %d", of.Deployment)
}

// left reports whether the component is on another node, or nowhere, and its containers
// are gone from this one.
func (f *streamed) left(t *tail) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return t.leaving && len(t.marks) == 0
}

// leave makes a tail end with its containers.
func (f *streamed) leave(t *tail) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.leaving = true
	if len(t.marks) == 0 {
		t.end()
	}
}

// hint makes watch read the service at once.
func (f *streamed) hint(t *tail) {
	select {
	case t.of.hints <- struct{}{}:
	default:
	}
}

// say prints a message about a component.
func (f *streamed) say(t *tail, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session.Say("%s: "+format, append([]any{f.name(t)}, args...)...)
}
