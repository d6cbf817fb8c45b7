package activities_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
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

func (r *router) Reach(_ context.Context, upstreams []string) activities.ReachUpstreamsResult {
	return activities.ReachUpstreamsResult{Problems: map[string]string{upstreams[0]: "connection refused"}}
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
func onEdge[T any](t *testing.T, r *router, activity func(*activities.Edge) any, in ...any) (result T, heartbeats int) {
	t.Helper()
	e := &activities.Edge{Name: "edge1", Router: r}
	env := newActivities(context.Background(), e)
	env.SetOnActivityHeartbeatListener(func(*activityInfo, converter.EncodedValues) { heartbeats++ })
	value, err := env.ExecuteActivity(activity(e), in...)
	require.NoError(t, err)
	require.NoError(t, value.Get(&result))
	return result, heartbeats
}

type activityInfo = activity.Info

func TestAnEdgeAcknowledgesWhatItHas(t *testing.T) {
	r := &router{versions: map[string]int64{"shop": 9}, problems: []string{"port 443 is in use"}}
	in := activities.PublishRoutesInput{Publications: []fleet.Publication{{Service: "shop", Version: 5}, {Service: "blog", Version: 3}}}
	result, _ := onEdge[activities.PublishRoutesResult](t, r, func(e *activities.Edge) any { return e.PublishRoutes }, in)
	require.Equal(t, []fleet.EdgeAck{{Edge: "edge1", Service: "shop", Version: 9}, {Edge: "edge1", Service: "blog", Version: 3}}, result.Acks)
	require.Equal(t, r.problems, result.Problems)
}

// The death of an edge that drains is noticed by its heartbeats.
func TestADrainReportsThatItGoesOn(t *testing.T) {
	in := activities.DrainRouteInput{Upstreams: []string{"10.0.0.1:20000"}, Drain: 1500 * time.Millisecond}
	result, heartbeats := onEdge[activities.DrainRouteResult](t, &router{}, func(e *activities.Edge) any { return e.DrainRoute }, in)
	require.Equal(t, map[string]int{"10.0.0.1:20000": 2}, result.Remaining)
	require.Positive(t, heartbeats)
}

func TestAnEdgeReportsWhatItDoesNotReach(t *testing.T) {
	result, _ := onEdge[activities.ReachUpstreamsResult](t, &router{}, func(e *activities.Edge) any { return e.ReachUpstreams }, []string{"10.0.0.1:20000"})
	require.Equal(t, map[string]string{"10.0.0.1:20000": "connection refused"}, result.Problems)
}

func TestAnAccessLogIsBounded(t *testing.T) {
	long := strings.Repeat("x", 100)
	r := &router{lines: []string{long, long, "last"}}
	read := func(e *activities.Edge) any { return e.ReadAccessLog }
	for bytes, want := range map[int][]string{0: {long, long, "last"}, 3: {}, 4: {"last"}, 104: {long, "last"}, 1000: {long, long, "last"}} {
		result, _ := onEdge[activities.AccessLogResult](t, r, read, activities.AccessLogInput{Service: "shop", Bytes: bytes})
		require.Equal(t, want, append([]string{}, result.Lines...), "%d bytes", bytes)
	}
	e := &activities.Edge{Name: "edge1", Router: &router{}}
	_, err := newActivities(context.Background(), e).ExecuteActivity(e.ReadAccessLog, activities.AccessLogInput{Service: "shop"})
	require.ErrorContains(t, err, "input/output error")
}

func TestAnImageIsFetchedBeforeItsContainerIsStarted(t *testing.T) {
	h := newHost(t)
	tag := h.engine.Registry.Address + "/api:v1"
	h.engine.Registry.Add(tag)
	digest, _ := h.engine.Registry.Digest(tag)
	pulls := 0
	h.engine.Before = func(method, _ string) error {
		if method == "Pull" {
			pulls++
		}
		return nil
	}
	in := activities.RunContainerInput{Component: api(2, func(c *activities.ComponentSpec) { c.Image = h.engine.Registry.Address + "/api@" + digest })}
	require.Nil(t, h.do(h.FetchImage, in))
	require.Nil(t, h.do(h.FetchImage, in), "twice")
	require.Empty(t, h.names(t))
	require.Nil(t, h.do(h.RunContainer, in))
	require.Equal(t, 1, pulls)

	missing := in
	missing.Component.Image = h.engine.Registry.Address + "/api@sha256:gone"
	f := h.do(h.FetchImage, missing)
	require.NotNil(t, f)
	require.Equal(t, "rift", f.Node)
	in.Component.Deployment = 1
	require.Equal(t, fault.Conflict, h.do(h.FetchImage, in).Kind, "a newer deployment has been here")
}
