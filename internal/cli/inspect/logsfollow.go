package inspect

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows/reads"
)

const (
	// followWait is how long one read of a follow waits for lines.
	followWait = 20 * time.Second
	// againPause is how long a follow waits after a read that failed.
	againPause = time.Second
)

// logFollower follows the components of a service by separate reads: none waits for
// another, or for the node of another.
type logFollower struct {
	session *session.Session
	client  client.Client
	in      reads.LogsInput
	// end ends them all.
	end context.CancelFunc

	all  sync.WaitGroup
	mu   sync.Mutex
	show *logPrinter
	// started are the components that are followed, or were.
	started map[string]bool
}

// followLogs continues after the lines read first, until ctx ends, the reader has
// gone, or the service has been undeployed.
func followLogs(ctx context.Context, s *session.Session, c client.Client, in reads.LogsInput, first []reads.ComponentLogs, show *logPrinter) error {
	following, end := context.WithCancel(ctx)
	defer end()
	f := &logFollower{session: s, client: c, in: in, end: end, show: show, started: map[string]bool{}}
	for _, l := range first {
		if l.Absent {
			s.Say("%s: there is no container %s yet", l.Component, l.Container)
		}
		f.mu.Lock()
		f.start(following, l)
		f.mu.Unlock()
	}
	go func() {
		untilReaderGone(following, s.Stdout)
		end()
	}()
	f.all.Wait()
	if ctx.Err() != nil {
		return exit.Interrupted
	}
	return nil
}

// start begins to follow a component unless it is followed. The caller has the
// lock.
func (f *logFollower) start(ctx context.Context, l reads.ComponentLogs) {
	if !f.started[l.Component] {
		f.started[l.Component] = true
		f.all.Go(func() { f.component(ctx, l) })
	}
}

// component follows one component after the lines that have been read.
func (f *logFollower) component(ctx context.Context, l reads.ComponentLogs) {
	var reported *fault.Error
	for read := l.Error == nil; ; {
		switch f.report(l.Component, &reported, l.Error); {
		case l.Error != nil && l.Error.Kind == fault.NotFound:
			return // it has been removed, or undeployed
		case l.Error != nil && pause(ctx, againPause) != nil:
			return
		}
		in := f.in
		in.Component = l.Component
		if read {
			in.Wait, in.Marks = followWait, l.Marks
		}
		next := f.next(ctx, in)
		if ctx.Err() != nil {
			return
		}
		if next.Error != nil {
			next.Marks = l.Marks
		}
		l, read = next, read || next.Error == nil
	}
}

// next reads the next lines of one component, and prints them.
func (f *logFollower) next(ctx context.Context, in reads.LogsInput) reads.ComponentLogs {
	var got reads.LogsResult
	err := f.session.Read(ctx, f.client, "logs", reads.LogsName, in, &got, session.Within(in.Wait))
	if err != nil || len(got.Logs) == 0 {
		l := reads.ComponentLogs{Error: exit.FaultOf(err)}
		l.Component = in.Component
		return l
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.in.Component == "" {
		for _, name := range got.Components {
			f.show.add(in.Service, name, len(got.Components))
			l := reads.ComponentLogs{} // a new one is read from its beginning
			l.Component = name
			f.start(ctx, l)
		}
	}
	if got.Logs[0].Lost {
		f.session.Say("%s: lines are lost: its log has reached log_size, and began anew before they were read", in.Component)
	}
	if !f.show.print(in.Service, got.Logs) {
		f.end()
	}
	return got.Logs[0]
}

// report prints once that a component cannot be read, again if the reason has
// changed, and once that it can again. A read that was on its way to a worker that
// ends has only a timeout to report; the next one has the reason.
func (f *logFollower) report(component string, reported **fault.Error, now *fault.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now != nil && (*reported == nil || (*reported).Message != now.Message) {
		f.session.Say("%s: %s", component, now.Message)
	}
	if now == nil && *reported != nil {
		f.session.Say("%s: it answers again", component)
	}
	*reported = now
}
