package inspect

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// streamLogs shows the output of the targets through a gateway.
func streamLogs(ctx context.Context, s *session.Session, through gateway, targets []string, o logsOptions) error {
	following, end := context.WithCancel(ctx)
	defer end()
	f := &streamed{session: s, gateway: through, o: o, end: end}
	asked, err := f.findAll(ctx, targets)
	if err != nil {
		return err
	}
	if first := asked[0]; first.found.Run != nil {
		return f.run(ctx, first.LogsInput, first.found)
	}
	var tails []*tail
	for _, of := range asked {
		for _, at := range of.found.Logs {
			t := newTail(of.Service, at, of)
			of.tails[at.Component] = t
			tails = append(tails, t)
		}
	}
	f.show = &logPrinter{console: &s.Console, timestamps: o.timestamps, services: len(targets) > 1}
	var begun sync.WaitGroup
	for _, t := range tails {
		f.show.add(t.service, t.at.Component, len(tails))
		begun.Go(func() { t.err = f.begin(following, t) })
	}
	begun.Wait()
	if ctx.Err() != nil {
		return exit.Interrupted
	}
	failed := f.showFirst(tails)
	if !o.follow || failed != nil {
		return failed
	}
	return f.followAll(ctx, following, asked)
}

// asksAtOnce is how many services' containers are asked for at once.
const asksAtOnce = 8

// findAll finds the containers of the targets, several at once. For the output of a step
// or a job there may be only one target.
func (f *streamed) findAll(ctx context.Context, targets []string) ([]*target, error) {
	var all errgroup.Group
	all.SetLimit(asksAtOnce)
	asked, failed := make([]*target, len(targets)), make([]error, len(targets))
	for i, name := range targets {
		service, component, _ := strings.Cut(name, "/")
		of := &target{
			LogsInput: reads.LogsInput{Service: service, Component: component, Lines: f.o.lines, Since: f.o.since},
			tails:     map[string]*tail{}, hints: make(chan struct{}, 1),
		}
		asked[i] = of
		all.Go(func() error {
			if f.o.follow {
				of.known, _ = f.gateway.deployed(ctx, service) // without it, the first round of watch asks again
			}
			of.found, failed[i] = f.gateway.where(ctx, of.LogsInput)
			return nil
		})
	}
	_ = all.Wait() // each has its own error
	for i, of := range asked {
		switch {
		case failed[i] != nil:
			return nil, failed[i]
		case of.found.Run != nil && len(targets) > 1:
			return nil, exit.Usage(fault.New(fault.Invalid, "%s is a step or a job: ask for its output alone", targets[i]))
		}
	}
	return asked, nil
}

// followAll shows what comes, until ctx ends, the reader has gone, nothing is left to
// follow, or a stream has ended before its end.
func (f *streamed) followAll(ctx, following context.Context, asked []*target) error {
	go func() {
		untilReaderGone(following, f.session.Stdout)
		f.end()
	}()
	for _, of := range asked {
		for _, t := range of.tails {
			f.start(following, t)
		}
		f.all.Go(func() { f.watch(following, of) })
	}
	f.all.Wait()
	if ctx.Err() != nil {
		return exit.Interrupted
	}
	return f.failed
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
		lines = append(lines, linesOf(t.service, []reads.ComponentLogs{t.at})...)
		t.at.Lines = nil
	}
	if !f.show.printLines(lines) {
		return nil
	}
	for _, t := range tails {
		if t.note.Cut {
			f.session.Say("%s: its first lines are left out: one answer is limited to 4 MB", f.name(t))
		}
		switch {
		case t.note.Absent && f.o.follow:
			f.session.Say("%s: there is no container %s yet", f.name(t), t.at.Container)
		case t.note.Absent:
			at := t.at
			at.Absent = true
			f.session.Fault(unreadable(t.service, at))
			failed = exit.Failed
		}
	}
	return failed
}

// run shows what the last run of a step or a job has printed.
func (f *streamed) run(ctx context.Context, in reads.LogsInput, found reads.LogsResult) error {
	if f.o.follow || len(found.Logs) == 0 {
		return showRun(f.session, in, found, f.o)
	}
	logs := &found.Logs[0]
	last := stream.Note{Absent: true}
	var err error
	if logs.Container != "" {
		of := stream.LogsRequest{Lines: f.o.lines, Since: f.o.since}
		logs.Lines, last, err = f.gateway.lines(ctx, in.Service, logs.Node, found.Run.Task, of)
		logs.Cut = last.Cut
	}
	if ctx.Err() != nil {
		return exit.Interrupted
	}
	if err != nil || last.Absent {
		in.Recorded = true
		recorded, asked := f.gateway.where(ctx, in)
		if asked != nil {
			return asked
		}
		if recorded.Run != nil && recorded.Run.Task == found.Run.Task {
			found = recorded
		}
		if err != nil && !found.Run.Recorded {
			found.Logs[0].Error = placed(err, found.Logs[0])
		}
	}
	return showRun(f.session, in, found, f.o)
}
