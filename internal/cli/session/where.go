package session

import (
	"context"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// Where finds the containers of a service, or of one component, for streams to them. A
// service or a component that does not exist is an error of usage.
func (s *Session) Where(ctx context.Context, c client.Client, verb string, in reads.LogsInput) (reads.LogsResult, error) {
	in.Where = true
	var found reads.LogsResult
	err := s.Read(ctx, c, verb, reads.LogsName, in, &found)
	if _, ended := exit.CodeOf(err); !ended && fault.Is(err, fault.NotFound) {
		err = exit.Usage(err)
	}
	return found, err
}

// HeaderOf begins the header of a stream to a container.
func HeaderOf(verb stream.Verb, service string, at reads.ComponentLogs) stream.Header {
	return stream.Header{Verb: verb, Node: at.Node, Service: service, Component: at.Component, Unlabelled: at.Adopted}
}

// CutOff returns the error of a stream that has begun but did not come to its end:
// what has been received or sent is not whole.
func CutOff(err error) error {
	f := fault.Of(err)
	if f.Kind == fault.Unavailable && f.Hint == "" {
		f = f.WithHint("run it again: any gateway of [door] addresses that answers carries it")
	}
	if f.Kind == fault.Unavailable || f.Kind == fault.Invalid {
		return exit.Cut(f)
	}
	return err
}
