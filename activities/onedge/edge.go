package onedge

import (
	"context"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
)

// Edge holds the activities of an edge.
type Edge struct {
	Name   string
	Router Router
}

// Router is what Edge needs of the part that serves requests. Its methods may be called
// concurrently.
type Router interface {
	// Publish serves the publications, each instead of its service's former one unless
	// it is not newer. It returns when requests are routed by them, they are on disk, and
	// the edge listens on their ports; problems says which of these failed, a sentence
	// each.
	Publish(ctx context.Context, publications []fleet.Publication) (problems []string)
	// Drain waits until no upstream has a request or a connection, or ctx ends, and
	// returns how many remain at each that has any.
	Drain(ctx context.Context, upstreams []string) (remaining map[string]int)
	// Reach connects to each upstream and returns why that failed, by upstream.
	Reach(ctx context.Context, upstreams []string) ReachUpstreamsResult
	// Status returns what the edge serves.
	Status(ctx context.Context) fleet.EdgeStatus
	// AccessLog returns the last lines of a service's access log, oldest first, at most
	// tail, each newer than since.
	AccessLog(ctx context.Context, service string, tail int, since time.Time) ([]string, error)
}

// PublishRoutesInput is what to publish.
type PublishRoutesInput struct {
	Publications []fleet.Publication `json:"publications"`
}

// PublishRoutesResult is what the edge serves now.
type PublishRoutesResult struct {
	Acks     []fleet.EdgeAck `json:"acks"`
	Problems []string        `json:"problems,omitempty"`
}

// PublishRoutes makes the edge serve publications. It acknowledges those that it has,
// which may be newer.
func (a *Edge) PublishRoutes(ctx context.Context, in PublishRoutesInput) (PublishRoutesResult, error) {
	result := PublishRoutesResult{Problems: a.Router.Publish(ctx, in.Publications)}
	versions := a.Router.Status(ctx).Versions
	for _, p := range in.Publications {
		result.Acks = append(result.Acks, fleet.EdgeAck{Edge: a.Name, Service: p.Service, Version: versions[p.Service]})
	}
	return result, nil
}

// DrainRouteInput says which upstreams to drain, and for how long.
type DrainRouteInput struct {
	Upstreams []string      `json:"upstreams"`
	Drain     time.Duration `json:"drain"`
}

// DrainRouteResult is how many requests and connections remain, by upstream.
type DrainRouteResult struct {
	Remaining map[string]int `json:"remaining,omitempty"`
}

// DrainRoute waits until upstreams that are not published any more have no request and
// no connection, or the time has passed.
func (a *Edge) DrainRoute(ctx context.Context, in DrainRouteInput) (DrainRouteResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (DrainRouteResult, error) {
		r.Set("wait", "") // for as long as the drain
		ctx, cancel := context.WithTimeout(ctx, in.Drain)
		defer cancel()
		return DrainRouteResult{Remaining: a.Router.Drain(ctx, in.Upstreams)}, nil
	})
}

// ReachUpstreamsResult is why upstreams were not reached, by upstream. Silent are those
// of them at which no host answered: their node may be away for a moment.
type ReachUpstreamsResult struct {
	Problems map[string]string `json:"problems,omitempty"`
	Silent   []string          `json:"silent,omitempty"`
}

// ReachUpstreams connects to upstreams.
func (a *Edge) ReachUpstreams(ctx context.Context, upstreams []string) (ReachUpstreamsResult, error) {
	return a.Router.Reach(ctx, upstreams), nil
}

// ObserveEdge reports what the edge serves.
func (a *Edge) ObserveEdge(ctx context.Context) (fleet.EdgeStatus, error) {
	return a.Router.Status(ctx), nil
}

// AccessLogInput selects lines of an access log.
type AccessLogInput struct {
	Service string    `json:"service"`
	Tail    int       `json:"tail"`
	Since   time.Time `json:"since,omitzero"`
	// Bytes bounds the answer: the newest lines that fit.
	Bytes int `json:"bytes,omitempty"`
}

// AccessLogResult has lines of an access log, oldest first.
type AccessLogResult struct {
	Lines []string `json:"lines"`
}

// ReadAccessLog reads the last lines of a service's access log.
func (a *Edge) ReadAccessLog(ctx context.Context, in AccessLogInput) (AccessLogResult, error) {
	lines, err := a.Router.AccessLog(ctx, in.Service, in.Tail, in.Since)
	return AccessLogResult{Lines: newest(lines, in.Bytes)}, err
}

// newest returns the last lines that fit into so many bytes; all if that is 0.
func newest(lines []string, bytes int) []string {
	if bytes == 0 {
		return lines
	}
	first := len(lines)
	for first > 0 && bytes >= len(lines[first-1]) {
		first--
		bytes -= len(lines[first])
	}
	return lines[first:]
}
