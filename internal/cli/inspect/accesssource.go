package inspect

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// accessSource reads the access log of a service at each edge.
type accessSource interface {
	read(ctx context.Context, in reads.AccessLogInput) (reads.AccessLogResult, error)
}

// askedEdges are asked by a workflow.
type askedEdges struct {
	session *session.Session
	client  client.Client
}

func (e askedEdges) read(ctx context.Context, in reads.AccessLogInput) (result reads.AccessLogResult, err error) {
	err = e.session.Read(ctx, e.client, "access log", reads.AccessLogName, in, &result)
	return result, err
}

// rounds is how many times a follow reads the edges before it asks again which there are.
const rounds = 30

// streamedEdges are read by a stream of each, through a gateway. A workflow finds them.
type streamedEdges struct {
	ask   accessSource
	call  func(context.Context, stream.Header) (*stream.Call, error)
	edges []string
	left  int // rounds until it asks again which edges there are
}

func (e *streamedEdges) read(ctx context.Context, in reads.AccessLogInput) (result reads.AccessLogResult, err error) {
	if e.left == 0 {
		found, err := e.ask.read(ctx, reads.AccessLogInput{Service: in.Service, Where: true})
		if err != nil {
			return result, err
		}
		e.edges, e.left = nil, rounds
		for _, edge := range found.Edges {
			e.edges = append(e.edges, edge.Edge)
		}
	}
	e.left--
	result.Edges = make([]reads.EdgeAccessLog, len(e.edges))
	var all sync.WaitGroup
	for i, name := range e.edges {
		all.Go(func() { result.Edges[i] = e.at(ctx, name, in) })
	}
	all.Wait()
	if err := exit.IfInterrupted(ctx); err != nil {
		return result, err
	}
	return result, e.askTheOthers(ctx, in, result.Edges)
}

// askTheOthers has a workflow ask the edges that have no stream: some reach Temporal
// without the gateways, or are of a former version.
func (e *streamedEdges) askTheOthers(ctx context.Context, in reads.AccessLogInput, logs []reads.EdgeAccessLog) error {
	others := func(log reads.EdgeAccessLog) bool { return log.Error != nil && log.Error.Kind == fault.Unavailable }
	if !slices.ContainsFunc(logs, others) {
		return nil
	}
	asked, err := e.ask.read(ctx, in)
	if err != nil {
		return err
	}
	for i, log := range logs {
		if at := slices.IndexFunc(asked.Edges, func(a reads.EdgeAccessLog) bool { return a.Edge == log.Edge }); at >= 0 && others(log) {
			logs[i] = asked.Edges[at]
		}
	}
	return nil
}

// maxAccess bounds what one edge may answer, in bytes.
const maxAccess = 4 << 20

// at reads the log of one edge.
func (e *streamedEdges) at(ctx context.Context, name string, in reads.AccessLogInput) reads.EdgeAccessLog {
	log := reads.EdgeAccessLog{Edge: name}
	call, err := e.call(ctx, stream.Header{
		Verb: stream.Access, Edge: name, Service: in.Service, Access: &stream.AccessRequest{Lines: in.Tail, Since: in.Since},
	})
	var text bytes.Buffer
	if err == nil {
		_, err = call.Receive(&limited{to: &text, left: maxAccess}, io.Discard)
	}
	if err != nil {
		log.Error = exit.FaultOf(err)
		return log
	}
	for line := range strings.Lines(text.String()) {
		log.Lines = append(log.Lines, strings.TrimSuffix(line, "\n"))
	}
	return log
}

// limited writes at most a given number of bytes.
type limited struct {
	to   io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fault.New(fault.Invalid, "it answers with more than %d MiB", maxAccess>>20)
	}
	return l.to.Write(p)
}
