package inspect

import (
	"cmp"
	"context"
	"sync"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// gateway is what streams of output need of a gateway.
type gateway interface {
	// where finds components, or the last run of a step or a job.
	where(ctx context.Context, in reads.LogsInput) (reads.LogsResult, error)
	// deployed describes the newest deploy of a service: another one, its outcome or its
	// end changes that.
	deployed(ctx context.Context, service string) (string, error)
	// call opens a stream.
	call(ctx context.Context, h stream.Header) (*stream.Call, error)
	// lines are the last lines of what a task has printed.
	lines(ctx context.Context, service, node string, task fleet.Task, of stream.LogsRequest) ([]reads.LogLine, stream.Note, error)
}

// streamed shows the output of services as streams of their nodes.
type streamed struct {
	session *session.Session
	gateway gateway
	o       logsOptions
	end     context.CancelFunc
	all     sync.WaitGroup

	mu     sync.Mutex // held while lines are shown, and over what follows
	show   *logPrinter
	failed error // the first error that ends a follow
}

// target is what was asked for: a service, or one component of it.
type target struct {
	reads.LogsInput
	found reads.LogsResult // the first answer
	// tails are the streams of its components, by their names. Only the watch of the target
	// changes them.
	tails map[string]*tail
	// known describes the newest deploy of the service before the components were last asked
	// for.
	known string
	// hints has one element when something has happened to its containers.
	hints chan struct{}
}

// name returns the name of a component, as messages have it.
func (f *streamed) name(t *tail) string {
	if f.show.services {
		return t.service + "/" + t.at.Component
	}
	return cmp.Or(t.at.Component, t.service)
}

// tail follows one component on one node.
type tail struct {
	service string
	of      *target
	at      reads.ComponentLogs
	call    *stream.Call
	note    stream.Note // with the last of the lines from before the stream
	err     error       // why it has not begun

	// marks are where to go on, by the containers that are not gone.
	marks stream.Marks
	// leaving reports whether the component is not on the node any more: then the tail ends
	// with its containers.
	leaving bool
	// end ends it, once it is followed.
	end context.CancelFunc
}

func newTail(service string, at reads.ComponentLogs, of *target) *tail {
	return &tail{service: service, at: at, of: of, marks: stream.Marks{}}
}
