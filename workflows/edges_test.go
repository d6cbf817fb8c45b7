package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// ask runs a workflow, which must succeed.
func ask[T any](t *testing.T, s *harness, name string, in ...any) T {
	t.Helper()
	s.env.ExecuteWorkflow(name, in...)
	require.True(t, s.env.IsWorkflowCompleted())
	require.NoError(t, s.env.GetWorkflowError())
	var result T
	require.NoError(t, s.env.GetWorkflowResult(&result))
	return result
}

// refusal runs a workflow, which must fail.
func refusal(t *testing.T, s *harness, name string, in ...any) *fault.Error {
	t.Helper()
	s.env.ExecuteWorkflow(name, in...)
	require.Error(t, s.env.GetWorkflowError())
	return workflows.FaultOf(s.env.GetWorkflowError())
}

func TestAnAnnouncementIsAnsweredWithThePublications(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.fail = failing("RecordAnnouncement", 3, fault.New(fault.Unavailable, "Postgres does not answer"))
	answer := ask[fleet.EdgeAnswer](t, s, tend.AnnounceEdgeName, fleet.EdgeRecord{Name: "edge1"})
	require.True(t, answer.Admitted)
	require.Equal(t, s.edges.last, answer.Publications[0])
}

func TestAnAnnouncementUnderAnothersNameIsRefused(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("RecordAnnouncement", 0, fault.New(fault.Conflict, "the name edge1 belongs to another key").WithHint("mcp edge remove edge1"))
	f := refusal(t, s, tend.AnnounceEdgeName, fleet.EdgeRecord{Name: "edge1"})
	require.Equal(t, fault.Conflict, f.Kind)
	require.Equal(t, "mcp edge remove edge1", f.Hint)
}

func TestAnAdmittedEdgeGetsEverythingAtOnce(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	result := ask[tend.AdmitEdgeResult](t, s, tend.AdmitEdgeName, tend.AdmitEdgeInput{Edge: "edge1"})
	require.Equal(t, "age1announced", result.Key)
	require.Nil(t, result.Published.Error)
	require.Equal(t, []string{
		"PinEdge edge1", "PublishRoutes edge2",
		"MissingAt", "PublishRoutes edge1 shop@1[=10.0.0.1:19010 /api=10.0.0.1:19000]", "RecordPublished edge1 has shop@1",
		"MissingAt shop", "PublishRoutes edge1 zoo@7[]", "RecordPublished edge1 has zoo@7",
	}, s.calls)
}

func TestAnEdgeIsAdmittedThatIsAway(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.fail = failing("PublishRoutes", 0, untaken)
	result := ask[tend.AdmitEdgeResult](t, s, tend.AdmitEdgeName, tend.AdmitEdgeInput{Edge: "edge1"})
	require.Contains(t, result.Published.Error.Message, "edge edge1 is away")
	require.Equal(t, "RecordPublished edge1 lacks shop", s.calls[len(s.calls)-1])
}

func TestARequestToTheStorageIsCarriedOutByItsRun(t *testing.T) {
	s := newHarness(t)
	request := fleet.StorageRequest{Edge: "edge1", Operation: []byte("{}"), Proof: []byte("p")}
	answer := ask[fleet.StorageAnswer](t, s, tend.EdgeStorageName, request)
	require.Equal(t, "value", string(answer.Value))
	require.Equal(t, []string{"UseStorage edge1 in default-test-run-id"}, s.calls)
	s = newHarness(t)
	s.fail = failing("UseStorage", 0, fault.New(fault.Unauthorized, "the request is not one of edge edge1"))
	require.Equal(t, fault.Unauthorized, refusal(t, s, tend.EdgeStorageName, request).Kind)
}

func TestAnUnknownEdgeIsNotAdmitted(t *testing.T) {
	unknown := fault.New(fault.NotFound, "no edge is called edge9")
	s := newHarness(t)
	s.fail = failing("PinEdge", 0, unknown)
	require.Equal(t, fault.NotFound, refusal(t, s, tend.AdmitEdgeName, tend.AdmitEdgeInput{Edge: "edge9"}).Kind)
	require.Empty(t, s.calls)
}

func TestAnEdgeIsRemoved(t *testing.T) {
	s := newHarness(t)
	s.env.ExecuteWorkflow(tend.RemoveEdgeName, "edge1")
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"ForgetEdge edge1", "PublishRoutes edge1"}, s.calls, "the edge asks at once whether it is admitted")
}

func TestEdgesAreAskedForTheirStatus(t *testing.T) {
	s := newHarness(t)
	s.front()
	s.fail = failing("ObserveEdge edge2", 0, untaken)
	result := ask[reads.EdgesResult](t, s, reads.EdgesName, reads.EdgesInput{})
	require.Len(t, result.Edges, 3)
	require.Equal(t, []int{443}, result.Edges[0].Status.Listening)
	require.Nil(t, result.Edges[1].Status)
	require.Contains(t, result.Silent["edge2"].Message, "is away")
	require.NotContains(t, s.calls, "ObserveEdge stranger", "it is not admitted")
}

func TestOneEdgeIsSelected(t *testing.T) {
	s := newHarness(t)
	s.front()
	result := ask[reads.EdgesResult](t, s, reads.EdgesName, reads.EdgesInput{Name: "edge2"})
	require.Len(t, result.Edges, 1)
	require.NotContains(t, s.calls, "ObserveEdge edge1")
	s = newHarness(t)
	require.Equal(t, fault.NotFound, refusal(t, s, reads.EdgesName, reads.EdgesInput{Name: "edge9"}).Kind)
}

func TestEdgesAreAskedWhatTheyReach(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.edges.unreached = map[string]string{"10.0.0.1:19000": "connection refused"}
	s.fail = failing("ReachUpstreams edge2", 0, untaken)
	result := ask[reads.EdgesResult](t, s, reads.EdgesName, reads.EdgesInput{Reach: true})
	require.Len(t, result.Routes, 2)
	require.Equal(t, map[string]map[string]string{"edge1": s.edges.unreached}, result.Unreached)
	require.Contains(t, s.calls, "ReachUpstreams edge1 10.0.0.1:19000+10.0.0.1:19010")
}

func TestRoutesHaveURLs(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.release.Edges[0].Ports = map[int]int{443: 8443}
	result := ask[reads.RoutesResult](t, s, reads.RoutesName, reads.RoutesInput{Service: "shop"})
	require.Len(t, result.Routes, 2)
	require.Equal(t, "https://shop.example:8443/api", result.Routes[1].URL)
	require.Equal(t, "shop", result.Routes[1].Service)
}

func TestMaintenanceIsPublished(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.fail = failing("PublishRoutes edge2", 0, untaken)
	result := ask[workflows.MaintainResult](t, s, workflows.MaintainName, workflows.MaintainInput{Service: "shop", On: true})
	require.Nil(t, result.Edges[0].Error)
	require.NotNil(t, result.Edges[1].Error)
	require.Contains(t, s.calls, "PublishRoutes edge1 shop@2[=maintained /api=maintained]")
	require.Contains(t, s.calls, "RecordPublished edge1 has shop@2, edge2 lacks shop")
	s = newHarness(t)
	s.fail = failing("SetMaintenance", 0, fault.New(fault.NotFound, "no service is called shop"))
	require.Equal(t, fault.NotFound, refusal(t, s, workflows.MaintainName, workflows.MaintainInput{Service: "shop"}).Kind)
}

func TestAccessLogsAreReadAtEachEdge(t *testing.T) {
	s := newHarness(t)
	s.front()
	s.fail = failing("ReadAccessLog edge2", 0, untaken)
	result := ask[reads.AccessLogResult](t, s, reads.AccessLogName, reads.AccessLogInput{Service: "shop", Tail: 10, Since: time.Hour})
	require.Equal(t, []string{`{"at":"edge1"}`}, result.Edges[0].Lines)
	require.Contains(t, result.Edges[1].Error.Message, "edge2 is away")
	require.Empty(t, result.Edges[1].Lines)
	require.Contains(t, s.calls, "ReadAccessLog edge1 10")
}

// watchEdges runs Monitor once.
func (s *harness) watchEdges(t *testing.T) {
	t.Helper()
	s.env.ExecuteWorkflow(tend.MonitorName, tend.MonitorInput{Over: time.Minute})
	require.True(t, s.env.IsWorkflowCompleted())
}

func TestTheMonitorObservesEachEdge(t *testing.T) {
	s := newHarness(t)
	s.front()
	s.fail = failing("ObserveEdge edge2", 0, untaken)
	s.watchEdges(t)
	require.NoError(t, s.env.GetWorkflowError())
	require.Len(t, s.edges.observed, 2)
	for _, seen := range s.edges.observed {
		if seen.Edge == "edge2" {
			require.Nil(t, seen.Status)
			require.Contains(t, seen.Problem, "edge2 is away")
			continue
		}
		require.Empty(t, seen.Problem)
		require.Equal(t, []int{443}, seen.Status.Listening)
	}
}

func TestTheMonitorPublishesToAStaleEdge(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.release.Edges = s.release.Edges[:1]
	s.edges.lacking = []fleet.Publication{s.edges.last}
	s.watchEdges(t)
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{
		"ObserveEdge edge1", "RecordEdgeObservation edge1",
		"PublishRoutes edge1 shop@1[=10.0.0.1:19010 /api=10.0.0.1:19000]", "RecordPublished edge1 has shop@1",
	}, s.calls)
}

func TestTheMonitorReplacesWhatTheRegistryDoesNotHave(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.edges.remake = []string{"shop"}
	s.fail = failing("RecordEdgeObservation edge2", 0, fault.New(fault.Internal, "no such column"))
	s.watchEdges(t)
	require.ErrorContains(t, s.env.GetWorkflowError(), "no such column")
	require.Contains(t, strings.Join(s.calls, "\n"), "PublishRoutes edge2 shop@2", "every edge gets it")
}
