package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"golang.org/x/sys/unix"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

const (
	// followWait is how long one question of a follow waits for lines.
	followWait = 20 * time.Second
	// againPause is how long a follow waits after a question that failed.
	againPause = time.Second
)

// logFollower follows the components of a service, each by questions of its
// own: none waits for another, or for the node of another.
type logFollower struct {
	app    *App
	client client.Client
	in     workflows.LogsInput
	// end ends them all.
	end context.CancelFunc

	all  sync.WaitGroup
	mu   sync.Mutex
	show *logPrinter
	// known are the components that are followed, or were.
	known map[string]bool
}

// followLogs goes on from what has been read already, until ctx ends, the
// reader has gone, or the service has been undeployed.
func (a *App) followLogs(ctx context.Context, c client.Client, in workflows.LogsInput, first []workflows.ComponentLogs, show *logPrinter) error {
	follow, end := context.WithCancel(ctx)
	defer end()
	f := &logFollower{app: a, client: c, in: in, end: end, show: show, known: map[string]bool{}}
	for _, l := range first {
		if l.Absent {
			a.say("%s: there is no container %s yet", l.Component, l.Container)
		}
		f.mu.Lock()
		f.start(follow, l)
		f.mu.Unlock()
	}
	go func() {
		untilReaderGone(follow, a.Stdout)
		end()
	}()
	f.all.Wait()
	if ctx.Err() != nil {
		return exitError(exitInterrupted)
	}
	return nil
}

// start begins to follow a component unless it is followed. The caller has the
// lock.
func (f *logFollower) start(ctx context.Context, l workflows.ComponentLogs) {
	if !f.known[l.Component] {
		f.known[l.Component] = true
		f.all.Go(func() { f.component(ctx, l) })
	}
}

// component follows one component from where it has been read.
func (f *logFollower) component(ctx context.Context, l workflows.ComponentLogs) {
	var told *fault.Error
	for read := l.Error == nil; ; {
		switch f.tell(l.Component, &told, l.Error); {
		case l.Error != nil && l.Error.Kind == fault.NotFound:
			return // it has been removed, or undeployed
		case l.Error != nil && pause(ctx, againPause) != nil:
			return
		}
		ask := f.in
		ask.Component = l.Component
		if read {
			ask.Wait, ask.Marks = followWait, l.Marks
		}
		next := f.ask(ctx, ask)
		if ctx.Err() != nil {
			return
		}
		if next.Error != nil {
			next.Marks = l.Marks
		}
		l, read = next, read || next.Error == nil
	}
}

// ask asks for the next lines of one component, and shows them.
func (f *logFollower) ask(ctx context.Context, in workflows.LogsInput) workflows.ComponentLogs {
	var got workflows.LogsResult
	err := f.app.readLong(ctx, f.client, "logs", in.Wait, workflows.LogsName, in, &got)
	if err != nil || len(got.Logs) == 0 {
		_, why := classify(err)
		l := workflows.ComponentLogs{Error: why}
		l.Component = in.Component
		return l
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.in.Component == "" {
		for _, name := range got.Components {
			f.show.add(name, len(got.Components))
			l := workflows.ComponentLogs{} // new ones are read from their beginning
			l.Component = name
			f.start(ctx, l)
		}
	}
	if !f.show.print(got.Logs) {
		f.end()
	}
	return got.Logs[0]
}

// tell says once that a component cannot be read, again where the reason is another
// one, and once that it can again. A question that was on its way to a worker that
// ends says only that nobody has answered; the next one knows why.
func (f *logFollower) tell(component string, told **fault.Error, now *fault.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now != nil && (*told == nil || (*told).Message != now.Message) {
		f.app.say("%s: %s", component, now.Message)
	}
	if now == nil && *told != nil {
		f.app.say("%s: it answers again", component)
	}
	*told = now
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// untilReaderGone returns when nobody can read any more what is written, or
// ctx ends. A pipe says so by itself only when it is written to, and an idle
// follow writes nothing.
func untilReaderGone(ctx context.Context, w io.Writer) {
	file, ok := behind(w).(*os.File)
	for ok && ctx.Err() == nil {
		state := []unix.PollFd{{Fd: int32(file.Fd())}}
		n, err := unix.Poll(state, int(againPause/time.Millisecond))
		if err == nil && n > 0 && state[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
			return
		}
		ok = err == nil || errors.Is(err, unix.EINTR)
	}
	<-ctx.Done()
}
