package session

import (
	"context"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// Link is a session of streams with a gateway. When that has ended, another one takes its
// place, perhaps with another gateway.
type Link struct {
	session *Session
	config  *config.Config
	ctx     context.Context // that of the sessions, which outlive what opens them
	cancel  context.CancelFunc

	mu sync.Mutex
	// wait waits for the first session, until that was needed.
	wait   func() (*stream.Client, error)
	end    func()
	client *stream.Client
}

// Link begins to open a session of streams, while the caller asks for what it is for; nil
// if Temporal is reached without a gateway. It lasts until ctx ends, or Close.
func (s *Session) Link(ctx context.Context, cfg *config.Config) (*Link, error) {
	options, err := cfg.TemporalOptions()
	if err != nil {
		return nil, exit.Usage(err)
	}
	if !config.ThroughDoor(options) {
		return nil, nil
	}
	l := &Link{session: s, config: cfg}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.wait, l.end = s.StreamsMeanwhile(l.ctx, cfg)
	return l, nil
}

// Call opens a stream, in a new session if the former one has ended.
func (l *Link) Call(ctx context.Context, h stream.Header) (*stream.Call, error) {
	client, err := l.open()
	if err != nil {
		return nil, err
	}
	return client.Call(ctx, h)
}

func (l *Link) open() (*stream.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := l.wait; wait != nil {
		l.wait = nil
		var err error
		if l.client, err = wait(); err != nil {
			return nil, err
		}
	}
	if l.client != nil {
		select {
		case <-l.client.Ended():
		default:
			return l.client, nil
		}
	}
	if err := readyIdentity(l.ctx, l.config); err != nil {
		return nil, err
	}
	client, err := l.session.Streams(l.ctx, l.config)
	if err != nil {
		return nil, err
	}
	l.client = client
	return client, nil
}

// Close ends the session.
func (l *Link) Close() {
	l.cancel()
	l.end()
}

// Again reports whether a stream that has ended with an error can be tried again.
func Again(err error) bool { return exit.FaultOf(err).Kind == fault.Unavailable }

// The pauses between two attempts to go on with a stream.
const firstAgain, longestAgain = 200 * time.Millisecond, 5 * time.Second

// AgainAfter returns the pause before an attempt to go on; the first attempt is 0.
func AgainAfter(attempt int) time.Duration {
	if attempt == 0 {
		return 0
	}
	return min(firstAgain<<min(attempt-1, 10), longestAgain)
}

// TaskOf begins the header of a stream of what a task prints.
func TaskOf(service, node string, task fleet.Task) stream.Header {
	return stream.Header{Verb: stream.Logs, Node: node, Service: service, Component: task.Name, Task: &task}
}

// triesOfTask is how often lines of a task are asked for, if a stream breaks.
const triesOfTask = 3

// TaskLines returns the last lines of what a task has printed. They are absent if its node
// has nothing of it.
func (l *Link) TaskLines(ctx context.Context, service, node string, task fleet.Task, of stream.LogsRequest) (lines []reads.LogLine, last stream.Note, err error) {
	h := TaskOf(service, node, task)
	h.Logs = &of
	for try := range triesOfTask {
		select {
		case <-ctx.Done():
			return nil, last, ctx.Err()
		case <-time.After(AgainAfter(try)):
		}
		if lines, last, err = l.taskLines(ctx, h); err == nil || !Again(err) {
			break
		}
	}
	return lines, last, err
}

func (l *Link) taskLines(ctx context.Context, h stream.Header) (lines []reads.LogLine, last stream.Note, err error) {
	call, err := l.Call(ctx, h)
	if err != nil {
		return nil, last, err
	}
	defer call.Close()
	for !last.Read {
		var batch stream.Batch
		if batch, last, err = call.NextOutput(); err != nil {
			return nil, last, err
		}
		lines = append(lines, LinesOf(batch)...)
	}
	return lines, last, nil
}

// LinesOf returns the lines of a batch.
func LinesOf(batch stream.Batch) []reads.LogLine {
	lines := make([]reads.LogLine, len(batch.Lines))
	for i, line := range batch.Lines {
		lines[i] = reads.LogLine{LogLine: line.LogLine, Container: line.Container}
	}
	return lines
}
