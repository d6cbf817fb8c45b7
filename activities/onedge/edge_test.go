package onedge_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/activities/attempt/attempttest"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/internal/fleet"
)

// router is a router of tests: it has the newest publications, and its upstreams are busy
// until their drain is over.
type router struct {
	versions map[string]int64
	problems []string
	lines    []string
}

func (r *router) Publish(_ context.Context, publications []fleet.Publication) []string {
	for _, p := range publications {
		r.versions[p.Service] = max(r.versions[p.Service], p.Version)
	}
	return r.problems
}

func (r *router) Drain(ctx context.Context, upstreams []string) map[string]int {
	<-ctx.Done()
	return map[string]int{upstreams[0]: 2}
}

func (r *router) Reach(_ context.Context, upstreams []string) onedge.ReachUpstreamsResult {
	return onedge.ReachUpstreamsResult{Problems: map[string]string{upstreams[0]: "connection refused"}}
}

func (r *router) Status(context.Context) fleet.EdgeStatus {
	return fleet.EdgeStatus{Versions: r.versions}
}

func (r *router) AccessLog(context.Context, string, int, time.Time) ([]string, error) {
	if r.lines == nil {
		return nil, errors.New("read access.log: input/output error")
	}
	return r.lines, nil
}

// onEdge runs an activity on an edge.
func onEdge[T any](t *testing.T, r *router, activity func(*onedge.Edge) any, in ...any) (result T, heartbeats int) {
	t.Helper()
	e := &onedge.Edge{Name: "edge1", Router: r}
	env := attempttest.New(context.Background(), e)
	env.SetOnActivityHeartbeatListener(func(*activityInfo, converter.EncodedValues) { heartbeats++ })
	value, err := env.ExecuteActivity(activity(e), in...)
	require.NoError(t, err)
	require.NoError(t, value.Get(&result))
	return result, heartbeats
}

type activityInfo = activity.Info

func TestAnEdgeAcknowledgesWhatItHas(t *testing.T) {
	r := &router{versions: map[string]int64{"shop": 9}, problems: []string{"port 443 is in use"}}
	in := onedge.PublishRoutesInput{Publications: []fleet.Publication{{Service: "shop", Version: 5}, {Service: "blog", Version: 3}}}
	result, _ := onEdge[onedge.PublishRoutesResult](t, r, func(e *onedge.Edge) any { return e.PublishRoutes }, in)
	require.Equal(t, []fleet.EdgeAck{{Edge: "edge1", Service: "shop", Version: 9}, {Edge: "edge1", Service: "blog", Version: 3}}, result.Acks)
	require.Equal(t, r.problems, result.Problems)
}

// The death of an edge that drains is noticed by its heartbeats.
func TestADrainReportsThatItGoesOn(t *testing.T) {
	in := onedge.DrainRouteInput{Upstreams: []string{"10.0.0.1:20000"}, Drain: 1500 * time.Millisecond}
	result, heartbeats := onEdge[onedge.DrainRouteResult](t, &router{}, func(e *onedge.Edge) any { return e.DrainRoute }, in)
	require.Equal(t, map[string]int{"10.0.0.1:20000": 2}, result.Remaining)
	require.Positive(t, heartbeats)
}

func TestAnEdgeReportsWhatItDoesNotReach(t *testing.T) {
	result, _ := onEdge[onedge.ReachUpstreamsResult](t, &router{}, func(e *onedge.Edge) any { return e.ReachUpstreams }, []string{"10.0.0.1:20000"})
	require.Equal(t, map[string]string{"10.0.0.1:20000": "connection refused"}, result.Problems)
}

func TestAnAccessLogIsBounded(t *testing.T) {
	long := strings.Repeat("x", 100)
	r := &router{lines: []string{long, long, "last"}}
	read := func(e *onedge.Edge) any { return e.ReadAccessLog }
	for bytes, want := range map[int][]string{0: {long, long, "last"}, 3: {}, 4: {"last"}, 104: {long, "last"}, 1000: {long, long, "last"}} {
		result, _ := onEdge[onedge.AccessLogResult](t, r, read, onedge.AccessLogInput{Service: "shop", Bytes: bytes})
		require.Equal(t, want, append([]string{}, result.Lines...), "%d bytes", bytes)
	}
	e := &onedge.Edge{Name: "edge1", Router: &router{}}
	_, err := attempttest.New(context.Background(), e).ExecuteActivity(e.ReadAccessLog, onedge.AccessLogInput{Service: "shop"})
	require.ErrorContains(t, err, "input/output error")
}
