package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// refused are the new containers, which no edge reaches.
var refused = map[string]string{"10.0.0.1:20000": "connection refused", "10.0.0.1:20001": "connection refused"}

// untaken is the failure of a step that no worker takes.
var untaken = temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)

// story is the changes of a deploy that succeeds, without the steps at edge2, which does as
// edge1 does, and without those that every deploy ends with.
func (s *harness) story() []string {
	story := slices.DeleteFunc(s.changes(), func(call string) bool {
		verb, rest, _ := strings.Cut(call, " ")
		return strings.HasPrefix(rest, "edge2") || slices.Contains([]string{"ReleasePorts", "FinishDeployment", "AllocatePorts"}, verb)
	})
	for i := range story { // a new port is another one each time
		for _, m := range s.committed.Members {
			for _, r := range m.Routes {
				if r.HostPort >= 20000 {
					story[i] = strings.ReplaceAll(story[i], fmt.Sprint("10.0.0.1:", r.HostPort), "new "+m.Component)
				}
			}
		}
	}
	return story
}

// inOrder puts what is done side by side in one order: the record of what the edges have,
// which is made beside the drain, comes first, and containers stop in that of their names.
func inOrder(story []string) []string {
	story = slices.Clone(story)
	slices.SortStableFunc(story, func(a, b string) int {
		record := func(call string) int {
			if strings.HasPrefix(call, "RecordPublished") {
				return 0
			}
			return 1
		}
		return record(a) - record(b)
	})
	stops := func(call string) bool { return strings.HasPrefix(call, "StopContainer") }
	for i := 1; i < len(story); i++ {
		if stops(story[i-1]) && stops(story[i]) && story[i] < story[i-1] {
			story[i-1], story[i] = story[i], story[i-1]
		}
	}
	return story
}

func TestEachVerbPublishesInItsPlace(t *testing.T) {
	const acked2, acked3 = "RecordPublished edge1 has shop@2, edge2 has shop@2", "RecordPublished edge1 has shop@3, edge2 has shop@3"
	force := func(in workflows.DeployInput) workflows.DeployInput { in.Force = true; return in }
	only := func(in workflows.DeployInput, name string) workflows.DeployInput {
		in.Only = []string{name}
		return in
	}
	running := func(s *harness) { s.fronted(shopfront()) }
	replaced := []string{
		acked3,
		"RunContainer shop-api r.example/api@sha256:api1",
		"FetchImage r.example/web@sha256:web1",
		"MakePublication shop held[web] stopped[]",
		"PublishRoutes edge1 shop@2[=held /api=10.0.0.1:19000]",
		"DrainRoute edge1 10.0.0.1:19010",
		"StopContainer shop-web",
		"RunContainer shop-web r.example/web@sha256:web1",
		"ReachUpstreams edge1 new web+new api",
		"CutOver shop-api,shop-web",
		"CommitRelease api/8,web/8",
		"PublishRoutes edge1 shop@3[=new web /api=new api]",
		"DrainRoute edge1 10.0.0.1:19000",
		"Retire shop-api,shop-web",
	}
	stopped := []string{
		acked3,
		"MakePublication shop held[] stopped[api web]",
		"PublishRoutes edge1 shop@2[=none /api=none]",
		"DrainRoute edge1 10.0.0.1:19010+10.0.0.1:19000",
		"StopContainer shop-api",
		"StopContainer shop-web",
		"CommitRelease api/7,web/7",
		"PublishRoutes edge1 shop@3[=none /api=none]",
	}
	tests := map[string]struct {
		given func(s *harness)
		in    workflows.DeployInput
		story []string
	}{
		"a first deploy": {(*harness).front, shopfront(), []string{
			"RecordPublished edge1 has shop@1, edge2 has shop@1",
			"RunContainer shop-api r.example/api@sha256:api1",
			"RunContainer shop-web r.example/web@sha256:web1",
			"ReachUpstreams edge1 new web+new api",
			"CutOver shop-api,shop-web",
			"CommitRelease api/1,web/1",
			"PublishRoutes edge1 shop@1[=new web /api=new api]",
		}},
		"an update":   {running, force(shopfront()), replaced},
		"a restart":   {running, request(fleet.VerbRestart), replaced},
		"a reconcile": {running, force(workflows.DeployInput{Verb: fleet.VerbReconcile, Definition: shopfront().Definition, Release: 7, Digests: map[string]string{"r.example/api:v1": "sha256:api1", "r.example/web:v1": "sha256:web1"}}), replaced},
		"a rollback":  {running, force(workflows.DeployInput{Verb: fleet.VerbRollback, Definition: shopfront().Definition, Release: 7, Digests: map[string]string{"r.example/api:v1": "sha256:api1", "r.example/web:v1": "sha256:web1"}}), replaced},
		"a stop":      {running, request(fleet.VerbStop), stopped},
		"a deploy that stops": {running, func() workflows.DeployInput {
			in := shopfront()
			in.Definition.Active = false
			return in
		}(), stopped},
		"one component": {running, force(only(shopfront(), "api")), []string{
			acked2,
			"RunContainer shop-api r.example/api@sha256:api1",
			"ReachUpstreams edge1 new api",
			"CutOver shop-api",
			"CommitRelease api/8,web/7",
			"PublishRoutes edge1 shop@2[=10.0.0.1:19010 /api=new api]",
			"DrainRoute edge1 10.0.0.1:19000",
			"Retire shop-api",
		}},
		"another hostname": {running, func() workflows.DeployInput {
			in := shopfront()
			in.Definition.Components[1].Routes[0].RedirectFrom = []string{"www.shop.example"}
			return in
		}(), []string{
			acked2,
			"CommitRelease api/7,web/7",
			"PublishRoutes edge1 shop@2[=10.0.0.1:19010 /api=10.0.0.1:19000 =none]",
		}},
		"a component is removed": {running, func() workflows.DeployInput {
			in := shopfront()
			in.Definition.Components = in.Definition.Components[:1]
			return in
		}(), []string{
			acked2,
			"CutOver shop-web",
			"CommitRelease api/7",
			"PublishRoutes edge1 shop@2[/api=10.0.0.1:19000]",
			"DrainRoute edge1 10.0.0.1:19010",
			"Retire shop-web",
		}},
		"an undeploy": {running, undeploy(), []string{
			acked2,
			"CutOver shop-api,shop-web",
			"CommitRelease",
			"PublishRoutes edge1 shop@2[]",
			"DrainRoute edge1 10.0.0.1:19010+10.0.0.1:19000",
			"Retire shop-web",
			"Retire shop-api",
		}},
		"a start": {
			func(s *harness) {
				s.fronted(shopfront())
				s.release.Active, s.release.Definition.Active = false, false
				for name, m := range s.release.Components {
					m.Active = false
					s.release.Components[name] = m
				}
				for i := range s.nodes["rift"] {
					s.nodes["rift"][i].Running = false
				}
				s.edges.last = fleet.Publication{Service: "shop", Version: 1, Routes: publication.Routes(publication.Released(s.release))}
			},
			request(fleet.VerbStart), []string{
				acked2,
				"RunContainer shop-api r.example/api@sha256:api1",
				"StopContainer shop-web",
				"RunContainer shop-web r.example/web@sha256:web1",
				"ReachUpstreams edge1 new web+new api",
				"CutOver shop-api,shop-web",
				"CommitRelease api/8,web/8",
				"PublishRoutes edge1 shop@2[=new web /api=new api]",
				"Retire shop-api,shop-web",
			},
		},
		"an unchanged service": {running, shopfront(), []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			test.given(s)
			for image, digest := range map[string]string{"api": "sha256:api1", "web": "sha256:web1"} {
				s.images["r.example/"+image+"@"+digest] = digest
			}
			result := s.deploy(t, test.in)
			require.Nil(t, result.Error)
			require.Equal(t, test.story, inOrder(s.story()))
			for _, e := range result.Edges {
				require.Nil(t, e.Error)
			}
		})
	}
}

// A service that edges do not serve costs no step more where there are edges.
func TestAServiceWithoutRoutesAtTheEdgesIsDeployedAsBefore(t *testing.T) {
	force := shop()
	force.Force = true
	for name, in := range map[string]workflows.DeployInput{
		"a deploy": shop(), "an update": force, "a stop": request(fleet.VerbStop), "an undeploy": undeploy(),
	} {
		t.Run(name, func(t *testing.T) {
			var calls [2]int
			for i := range calls {
				s := newHarness(t)
				if name != "a deploy" {
					s.released(shop())
				}
				if i == 1 {
					s.front()
				}
				require.Nil(t, s.deploy(t, in).Error)
				calls[i] = len(s.calls)
			}
			require.Equal(t, calls[0], calls[1])
			require.Positive(t, calls[0])
		})
	}
}

// Between the commit and the publication on an edge there is no other step.
func TestAPublicationIsTheFirstStepAfterTheCommit(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	require.Equal(t, workflows.Succeeded, s.deploy(t, request(fleet.VerbRestart)).Outcome)
	committed := slices.IndexFunc(s.calls, func(call string) bool { return strings.HasPrefix(call, "CommitRelease") })
	require.True(t, strings.HasPrefix(s.calls[committed+1], "PublishRoutes"), s.calls)
	require.True(t, strings.HasPrefix(s.calls[committed+2], "PublishRoutes"), s.calls)
}

func TestAHoldEndsWhateverBecomesOfTheDeploy(t *testing.T) {
	const release = "PublishRoutes edge1 shop@3[=10.0.0.1:19010 /api=10.0.0.1:19000]"
	tests := map[string]struct {
		fail  func(call string, attempt int32) error
		given func(s *harness)
		after string // the step after which the release is published again
		want  workflows.Outcome
	}{
		"an unhealthy successor": {
			fail:  failing("RunContainer shop-web", 0, errUnhealthy),
			after: "Restore rift remove[shop-web.next shop-api.next] rename[] start[shop-web]", want: workflows.Failed,
		},
		"an undo that fails": {
			fail: func(call string, attempt int32) error {
				if strings.HasPrefix(call, "Restore") {
					return fault.New(fault.Invalid, "podman is gone")
				}
				return failing("RunContainer shop-web", 0, errUnhealthy)(call, attempt)
			},
			after: "StopContainer shop-web", want: workflows.Failed,
		},
		"a stop that fails": {
			fail:  failing("StopContainer", 0, fault.New(fault.Invalid, "podman refuses")),
			after: "Restore rift remove[shop-api.next] rename[] start[shop-web]", want: workflows.Failed,
		},
		"an edge that does not reach the successor": {
			given: func(s *harness) { s.edges.unreached = refused },
			after: "Restore rift remove[shop-web.next shop-api.next] rename[] start[shop-web]", want: workflows.Failed,
		},
		"a cut-over that is refused": {
			given: func(s *harness) {
				s.cutOver = func(string) onnode.CutOverResult {
					return onnode.CutOverResult{Refused: fault.New(fault.Unhealthy, "shop-web.next has exited")}
				}
			},
			after: "Restore rift remove[shop-web.next shop-api.next] rename[] start[shop-web]", want: workflows.Failed,
		},
		"a commit that is refused": {
			fail:  failing("CommitRelease", 0, fault.New(fault.Conflict, "a newer deployment has begun")),
			after: "CutOver shop-api,shop-web", want: workflows.Failed,
		},
		"a cancel": {
			fail:  failing("RunContainer shop-web", 0, fault.New(fault.Unavailable, "podman does not answer")),
			given: func(s *harness) { s.env.RegisterDelayedCallback(s.env.CancelWorkflow, 20*time.Second) },
			after: "Restore rift remove[shop-web.next shop-api.next] rename[] start[shop-web]", want: workflows.Cancelled,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.fronted(shopfront())
			if test.fail != nil {
				s.fail = test.fail
			}
			if test.given != nil {
				test.given(s)
			}
			result := s.deploy(t, request(fleet.VerbRestart))
			require.Equal(t, test.want, result.Outcome)
			made := slices.Index(s.calls, "MakePublication shop held[] stopped[]")
			require.Positive(t, made, s.calls)
			require.Contains(t, s.calls[:made], test.after)
			if strings.HasPrefix(test.after, "Restore") {
				require.Equal(t, []string{"shop-web:19010"}, s.serving, "an edge holds requests until it answers")
			}
			require.Contains(t, s.calls[made:], release)
			require.Contains(t, s.calls[made:], "RecordPublished edge1 has shop@3, edge2 has shop@3")
			finished := slices.Index(s.calls, "FinishDeployment "+string(test.want))
			require.Greater(t, finished, made, "once the deployment is closed it may publish nothing")
		})
	}
}

func TestAHoldThatIsNotRecordedIsTakenBack(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.fail = failing("MakePublication shop held[web]", 0, fault.New(fault.Invalid, "no such table"))
	require.Equal(t, workflows.Failed, s.deploy(t, request(fleet.VerbRestart)).Outcome)
	require.NotContains(t, s.calls, "StopContainer shop-web")
	require.Contains(t, s.calls, "PublishRoutes edge1 shop@2[=10.0.0.1:19010 /api=10.0.0.1:19000]")
}

func TestAStopThatFailsIsPublishedAgain(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.fail = failing("StopContainer shop-web", 0, fault.New(fault.Invalid, "podman refuses"))
	require.Equal(t, workflows.Failed, s.deploy(t, request(fleet.VerbStop)).Outcome)
	require.Contains(t, s.calls, "PublishRoutes edge1 shop@3[=10.0.0.1:19010 /api=10.0.0.1:19000]")
}

// What a deployment that was lost has left at the edges is replaced by the next one,
// whatever its outcome.
func TestTheNextDeployEndsTheHoldOfALostOne(t *testing.T) {
	const release = "PublishRoutes edge1 shop@2[=10.0.0.1:19010 /api=10.0.0.1:19000]"
	t.Run("after it has put back the release", func(t *testing.T) {
		s := newHarness(t)
		s.fronted(shopfront())
		s.edges.interim = true
		s.nodes["rift"][1].Running = false
		in := shopfront()
		s.nodes["rift"] = append(s.nodes["rift"], fleet.Container{Name: "shop-web.next", Service: "shop", Component: "web", Deployment: 8, Running: true})
		require.Equal(t, workflows.Succeeded, s.deploy(t, in).Outcome)
		restored := slices.IndexFunc(s.calls, func(call string) bool { return strings.HasPrefix(call, "Restore") })
		require.Positive(t, restored, s.calls)
		require.Less(t, restored, slices.Index(s.calls, release), s.calls)
	})
	t.Run("where nothing has changed", func(t *testing.T) {
		s := newHarness(t)
		s.fronted(shopfront())
		s.edges.interim = true
		require.Equal(t, workflows.Unchanged, s.deploy(t, shopfront()).Outcome)
		require.Contains(t, s.calls, release)
	})
	t.Run("where it fails", func(t *testing.T) {
		s := newHarness(t)
		s.fronted(shopfront())
		s.edges.interim = true
		s.fail = failing("Survey", 0, fault.New(fault.Invalid, "podman is too old"))
		require.Equal(t, workflows.Failed, s.deploy(t, shopfront()).Outcome)
		require.Contains(t, s.calls, release)
	})
}

func TestAnEdgeThatIsAwayIsNotWaitedFor(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.fail = func(call string, _ int32) error {
		if verb, rest, _ := strings.Cut(call, " "); verb != "RecordPublished" && strings.HasPrefix(rest, "edge2") {
			return untaken
		}
		return nil
	}
	var committed, retired time.Time
	fail := s.fail
	s.fail = func(call string, attempt int32) error {
		switch {
		case strings.HasPrefix(call, "CommitRelease"):
			committed = s.env.Now()
		case strings.HasPrefix(call, "Retire"):
			retired = s.env.Now()
		}
		return fail(call, attempt)
	}
	result := s.deploy(t, request(fleet.VerbRestart))
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, []string{"https://shop.example", "https://shop.example/api"}, result.URLs)
	require.Len(t, result.Edges, 2)
	require.Nil(t, result.Edges[0].Error)
	require.Equal(t, "edge edge2 is away: nothing polls edge-edge2", result.Edges[1].Error.Message)
	require.Contains(t, result.Edges[1].Error.Hint, "mcp edge remove edge2")
	require.Contains(t, s.calls, "RecordPublished edge1 has shop@3, edge2 lacks shop")
	require.NotContains(t, s.calls, "DrainRoute edge1 10.0.0.1:19000", "that edge sends requests to the predecessors still")
	require.InDelta(t, 5*time.Second, retired.Sub(committed), float64(500*time.Millisecond))
}

// What Temporal hands out late, because it was away itself, an edge could not take in time.
func TestAnEdgeIsAskedAgainWhereTemporalWasAway(t *testing.T) {
	for name, c := range map[string]struct {
		late  time.Duration
		asked int // of both edges, to hold requests and to publish
	}{
		"the edge is away": {late: 2100 * time.Millisecond, asked: 4},
		"Temporal was":     {late: 20 * time.Second, asked: 6},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.fronted(shopfront())
			s.env.OnActivity("PublishRoutes", mock.Anything, mock.Anything).After(c.late).Return(onedge.PublishRoutesResult{}, untaken).Twice()
			var answered atomic.Int32
			s.env.OnActivity("PublishRoutes", mock.Anything, mock.Anything).Return(func(context.Context, onedge.PublishRoutesInput) (onedge.PublishRoutesResult, error) {
				answered.Add(1)
				return onedge.PublishRoutesResult{Acks: []fleet.EdgeAck{{Service: "shop", Version: 100}}}, nil
			})
			result := s.deploy(t, request(fleet.VerbRestart))
			require.Equal(t, workflows.Succeeded, result.Outcome)
			require.EqualValues(t, c.asked, 2+answered.Load())
		})
	}
}

func TestAnEdgeThatHasNotTakenOverTheRoutesIsStale(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.env.OnActivity("PublishRoutes", mock.Anything, mock.Anything).Return(onedge.PublishRoutesResult{
		Acks: []fleet.EdgeAck{{Service: "shop", Version: 1}}, Problems: []string{"its disk is full"},
	}, nil)
	result := s.deploy(t, request(fleet.VerbRestart))
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, "edge edge1 has not taken over the routes of shop", result.Edges[0].Error.Message)
	require.Equal(t, []string{"its disk is full"}, result.Edges[0].Problems)
	require.Len(t, s.edges.recorded.Misses, 2)
}

// Adopted containers are published, too.
func TestAnAdoptionIsPublished(t *testing.T) {
	s := newHarness(t)
	s.front()
	s.candidates = map[string][]fleet.Container{"rift": {byHand("shop-api", "r.example/api:v1")}}
	s.candidates["rift"][0].Ports = []servicedef.Port{{Host: 8443, Container: 8443, Protocol: "tcp"}}
	in := adopt()
	in.Definition.Components[0].Routes[0] = servicedef.Route{Name: "rest", Port: 8443, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example"}}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	require.Len(t, result.Edges, 2)
	require.Contains(t, s.calls, "PublishRoutes edge1 shop@1[=10.0.0.1:8443]")
	require.Contains(t, s.calls, "RecordPublished edge1 has shop@1, edge2 has shop@1")
}

// Containers that start again have the ports that they had.
func TestAMendPublishesNothing(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.release.Newest = 8
	s.nodes["rift"][0].Running = false
	s.mend(t)
	require.Contains(t, s.calls, "Restore rift remove[] rename[] start[shop-api]")
	require.NotContains(t, strings.Join(s.calls, "\n"), "Publi")
}
