package inspect

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows"
)

// streamed shows the output of services as streams of their nodes.
type streamed struct {
	session *session.Session
	client  *stream.Client
	o       logsOptions
	mu      sync.Mutex // held while lines are shown
	show    *logPrinter
	end     context.CancelFunc
}

// tail is the stream of one component.
type tail struct {
	service string
	at      workflows.ComponentLogs
	call    *stream.Call
	note    stream.Note
	err     error
}

// streamLogs shows the output of the targets through a gateway.
func streamLogs(ctx context.Context, s *session.Session, cfg *config.Config, c client.Client, targets []string, o logsOptions) error {
	following, end := context.WithCancel(ctx)
	defer end()
	streams, closeStreams := s.StreamsMeanwhile(ctx, cfg)
	defer closeStreams()
	found, err := whereAll(ctx, s, c, targets, o)
	if err != nil {
		return err
	}
	if first := found[0]; first.Run != nil {
		service, component, _ := strings.Cut(targets[0], "/")
		return showRun(s, workflows.LogsInput{Service: service, Component: component}, first, o)
	}
	f := &streamed{session: s, o: o, end: end}
	if f.client, err = streams(); err != nil {
		return err
	}
	var tails []*tail
	for i, target := range targets {
		service, _, _ := strings.Cut(target, "/")
		for _, at := range found[i].Logs {
			tails = append(tails, &tail{service: service, at: at})
		}
	}
	f.show = &logPrinter{console: &s.Console, timestamps: o.timestamps, services: len(targets) > 1}
	var all sync.WaitGroup
	for _, t := range tails {
		f.show.add(t.service, t.at.Component, len(tails))
		all.Go(func() { t.err = f.begin(following, t) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return exit.Interrupted
	}
	failed := f.showFirst(tails)
	if !o.follow || failed != nil {
		return failed
	}
	go func() {
		untilReaderGone(following, s.Stdout)
		end()
	}()
	for _, t := range tails {
		all.Go(func() {
			if t.err = f.follow(t); t.err != nil {
				end()
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return exit.Interrupted
	}
	for _, t := range tails {
		if t.err != nil && !errors.Is(t.err, errReaderGone) {
			return session.CutOff(t.err)
		}
	}
	return nil
}

// asksAtOnce is how many services' containers are asked for at once.
const asksAtOnce = 8

// whereAll finds the containers of the targets, several at once. The output of a step or a
// job is that of its only target.
func whereAll(ctx context.Context, s *session.Session, c client.Client, targets []string, o logsOptions) ([]workflows.LogsResult, error) {
	found, failed := make([]workflows.LogsResult, len(targets)), make([]error, len(targets))
	var all errgroup.Group
	all.SetLimit(asksAtOnce)
	for i, target := range targets {
		all.Go(func() error {
			service, component, _ := strings.Cut(target, "/")
			in := workflows.LogsInput{Service: service, Component: component, Lines: o.lines, Since: o.since}
			found[i], failed[i] = s.Where(ctx, c, "logs", in)
			return nil
		})
	}
	_ = all.Wait() // each has its own error
	for i, target := range targets {
		switch {
		case failed[i] != nil:
			return nil, failed[i]
		case found[i].Run != nil && len(targets) > 1:
			return nil, exit.Usage(fault.New(fault.Invalid, "%s is a step or a job: ask for its output alone", target))
		}
	}
	return found, nil
}

// errReaderGone ends a follow whose reader has closed its pipe.
var errReaderGone = errors.New("nothing reads what is shown")

// begin opens a stream, and reads the lines from before it.
func (f *streamed) begin(ctx context.Context, t *tail) error {
	h := session.HeaderOf(stream.Logs, t.service, t.at)
	h.Logs = &stream.LogsRequest{Lines: f.o.lines, Since: f.o.since, Follow: f.o.follow}
	call, err := f.client.Call(ctx, h)
	if err != nil {
		return err
	}
	t.call = call
	for !t.note.Read {
		lines, note, err := t.next()
		if err != nil {
			return err
		}
		t.at.Lines = append(t.at.Lines, lines...)
		t.note = note
	}
	return nil
}

// next reads the next lines, or a note.
func (t *tail) next() (lines []workflows.LogLine, note stream.Note, err error) {
	frame, err := t.call.Next()
	if err != nil {
		return nil, note, err
	}
	switch frame.Kind {
	case stream.Lines:
		var sent []stream.Line
		if err := json.Unmarshal(frame.Data, &sent); err != nil {
			return nil, note, fault.Wrap(fault.Invalid, err, "read the lines of %s from node %s", t.at.Component, t.at.Node)
		}
		for _, line := range sent {
			lines = append(lines, workflows.LogLine{LogLine: line.LogLine, Container: line.Container})
		}
	case stream.Notice:
		if err := json.Unmarshal(frame.Data, &note); err != nil {
			return nil, note, fault.Wrap(fault.Invalid, err, "read a note from node %s", t.at.Node)
		}
	case stream.Failure:
		return nil, note, frame.Fault()
	case stream.Exit:
		return nil, note, io.EOF
	}
	return lines, note, nil
}

// showFirst shows the lines from before the streams, in the order of their times.
func (f *streamed) showFirst(tails []*tail) error {
	var failed error
	for _, t := range tails {
		if t.err != nil {
			f.session.Fault(placed(t.err, t.at))
			failed = exit.Failed
		}
	}
	var lines []logLine
	for _, t := range tails {
		lines = append(lines, linesOf(t.service, []workflows.ComponentLogs{t.at})...)
	}
	if !f.show.printLines(lines) {
		return nil
	}
	for _, t := range tails {
		name := cmp.Or(t.at.Component, t.service)
		if t.note.Cut {
			f.session.Say("%s: its first lines are left out: one answer is limited to 4 MB", name)
		}
		switch {
		case t.note.Absent && f.o.follow:
			f.session.Say("%s: there is no container %s yet", name, t.at.Container)
		case t.note.Absent:
			at := t.at
			at.Absent = true
			f.session.Fault(unreadable(t.service, at))
			failed = exit.Failed
		}
	}
	return failed
}

// follow shows what comes, until the stream breaks.
func (f *streamed) follow(t *tail) error {
	for {
		lines, note, err := t.next()
		if err != nil {
			return placed(err, t.at)
		}
		f.mu.Lock()
		if note.Text != "" {
			f.session.Say("%s: %s", t.at.Component, note.Text)
		}
		at := t.at
		at.Lines = lines
		shown := f.show.print(t.service, []workflows.ComponentLogs{at})
		f.mu.Unlock()
		if !shown {
			return errReaderGone
		}
	}
}

// placed is an error with the place where it has occurred.
func placed(err error, at workflows.ComponentLogs) *fault.Error {
	f := fault.Of(err)
	f.Node, f.Component = cmp.Or(f.Node, at.Node), cmp.Or(f.Component, at.Component)
	return f
}
