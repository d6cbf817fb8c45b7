package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// harness runs one workflow with scripted activities. It records each call, in order,
// as "Activity subject".
type harness struct {
	needs []onnode.Need // of the step that was started last
	env   *testsuite.TestWorkflowEnvironment
	mu    sync.Mutex
	calls []string
	first map[string]time.Time // when an activity failed first, by its id

	release fleet.Release
	past    []fleet.DeploymentRecord // newest first
	// nodes are the containers of each node; a node that is absent has no worker.
	nodes map[string][]fleet.Container
	// here are the images that each node has, by digest.
	here map[string][]string
	// images are those of the image registry, with their digests.
	images map[string]string
	// fail decides, before each attempt of a call, whether it fails.
	fail func(call string, attempt int32) error
	// held are the ports that are held.
	held []fleet.PortHolder
	// cutOver is how a node cuts over, where its calls do not fail; newest the number
	// that nodes have seen.
	cutOver func(node string) onnode.CutOverResult
	newest  int
	// unknown is a key that the workers of nodes do not know.
	unknown string
	// booted is the present boot of each node's host.
	booted map[string]string
	// stale is the result of a commit.
	stale fleet.CommitResult
	// boot is the registry's answer about the boot of the node's host.
	boot fleet.Boot
	// deploying is whether a deploy is under way.
	deploying func() bool
	// seen is when the node was last seen.
	seen func() time.Time
	// holder has the name that is claimed; answer is that of the worker that polls the
	// node's queue, if there is one.
	holder fleet.Holder
	answer fleet.Answer
	// watched are the nodes that the monitor is to observe.
	watched []fleet.WatchedNode
	// observations are those that were recorded.
	observations []fleet.Observation
	// alerting are destinations with events still to be sent after an observation.
	alerting []string
	// candidates are the containers that nodes list; committed is the last release.
	candidates map[string][]fleet.Container
	committed  fleet.CommitRequest
	finished   fleet.FinishRequest // the last one
	// given is the definition that was recorded last.
	given *servicedef.Service
	// adopted are the ids of adopted containers that each step on a node was given.
	adopted map[string][]string
	// serving are the containers that a Restore waited for, and their first ports.
	serving []string
	// known are the records to forget; purged is set where an attempt whose answer was
	// lost has forgotten them.
	known  fleet.Forgotten
	purged bool
	// nextPort is the port that is handed out next.
	nextPort int
	edges    fakeEdges
	// ran are the components that were run, and sealed counts the envelopes of tasks.
	ran    []activities.ComponentSpec
	sealed map[string]int
	// refuses is why the nodes take no secrets.
	refuses string
	// ends are the results of the tasks to come.
	ends []fleet.TaskResult
}

// workerOptions are for tests on a busy machine, where a workflow task may take longer than
// the second after which the SDK takes it for a deadlock.
func workerOptions(interceptors ...interceptor.WorkerInterceptor) worker.Options {
	return worker.Options{Interceptors: interceptors, DeadlockDetectionTimeout: time.Minute}
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	s := &harness{
		env:     suite.NewTestWorkflowEnvironment(),
		first:   map[string]time.Time{},
		adopted: map[string][]string{},
		release: fleet.Release{Service: "shop"},
		nodes:   map[string][]fleet.Container{"rift": nil},
		images:  map[string]string{"r.example/api:v1": "sha256:api1", "r.example/web:v1": "sha256:web1"},
		fail:    func(string, int32) error { return nil },
		cutOver: func(string) onnode.CutOverResult { return onnode.CutOverResult{} },
		booted:  map[string]string{},

		deploying: func() bool { return false },
		seen:      func() time.Time { return time.Time{} },
		nextPort:  20000,
	}
	s.env.SetTestTimeout(time.Minute)
	s.env.SetWorkerOptions(workerOptions(&boundCheck{t: t}))
	s.register()
	s.registerEdges()
	s.registerTasks()
	s.registerSecrets()
	monitor := tend.Monitor{Reconcile: workflows.Reconcile}
	for name, run := range map[string]any{
		workflows.DeployName:       workflows.Deploy,
		workflows.BuildName:        workflows.Build,
		workflows.PlanName:         workflows.Plan,
		workflows.MendName:         workflows.Mend,
		tend.RegisterNodeName:      tend.RegisterNode,
		tend.ReviveNodeName:        tend.ReviveNode,
		tend.MonitorName:           monitor.Fleet,
		tend.MonitorNodeName:       monitor.Node,
		tend.ClaimNodeName:         tend.ClaimNode,
		tend.DrainNodeName:         tend.DrainNode,
		tend.RemoveNodeName:        tend.RemoveNode,
		tend.AlertName:             tend.Alert,
		workflows.SyncName:         workflows.Sync,
		workflows.PurgeName:        workflows.Purge,
		reads.PurgeableName:        reads.Purgeable,
		reads.LogsName:             reads.Logs,
		reads.DoctorName:           reads.Doctor,
		workflows.ExecName:         workflows.Exec,
		tend.RetentionName:         tend.Retention,
		reads.NodeHistoryName:      reads.NodeHistory,
		reads.NodePolicyName:       reads.NodePolicy,
		reads.HistoryName:          reads.History,
		workflows.SnapshotName:     workflows.Snapshot,
		tend.AnnounceEdgeName:      tend.AnnounceEdge,
		tend.AdmitEdgeName:         tend.AdmitEdge,
		tend.RemoveEdgeName:        tend.RemoveEdge,
		reads.EdgesName:            reads.Edges,
		reads.RoutesName:           reads.Routes,
		workflows.MaintainName:     workflows.Maintain,
		reads.AccessLogName:        reads.AccessLog,
		reads.BuildLogName:         reads.BuildLog,
		tend.EdgeStorageName:       tend.EdgeStorage,
		workflows.RotateSecretName: workflows.RotateSecret,
		workflows.RecordAuditName:  workflows.RecordAudit,
	} {
		s.env.RegisterWorkflowWithOptions(run, workflow.RegisterOptions{Name: name})
	}
	return s
}

// call records a call, unless the script makes it fail.
func (s *harness) call(ctx context.Context, subject string) error {
	info := activity.GetInfo(ctx)
	call := strings.TrimSpace(info.ActivityType.Name + " " + subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.nodes[strings.TrimPrefix(info.TaskQueue, "node-")]; strings.HasPrefix(info.TaskQueue, "node-") && !known {
		return fmt.Errorf("no worker polls %s: %s must not be called", info.TaskQueue, call)
	}
	if err := s.fail(call, info.Attempt); err != nil {
		if errors.As(err, new(*temporal.TimeoutError)) {
			return err // as a server reports it
		}
		return attempt.ToTemporal(err, fault.Of(err).Kind.Retryable() && s.inTime(info))
	}
	s.calls = append(s.calls, call)
	return nil
}

// recordAdopted records the adopted containers that a step was given.
func (s *harness) recordAdopted(activity string, adopted []fleet.Adopted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopted[activity] = nil
	for _, a := range adopted {
		s.adopted[activity] = append(s.adopted[activity], a.ID)
	}
}

// inTime reports whether an attempt that fails now may be followed by another. The
// test environment retries an activity without end; a server ends the retries where
// the next one would come too late.
func (s *harness) inTime(info activity.Info) bool {
	first, known := s.first[info.ActivityID]
	if !known {
		first = s.env.Now()
		s.first[info.ActivityID] = first
	}
	const longestPause = 10 * time.Second
	left := info.ScheduleToCloseTimeout
	return left == 0 || info.IsLocalActivity || s.env.Now().Sub(first)+longestPause < left
}

// names lists containers.
func names(lists ...[]fleet.Ref) string {
	var all []string
	for _, r := range slices.Concat(lists...) {
		all = append(all, r.Name)
	}
	return strings.Join(all, ",")
}

// deploy runs an operation and returns its result, whatever its outcome.
func (s *harness) deploy(t *testing.T, in workflows.Operation) workflows.Result {
	t.Helper()
	s.env.ExecuteWorkflow(in.Workflow(), in)
	require.True(t, s.env.IsWorkflowCompleted())
	var result workflows.Result
	if err := s.env.GetWorkflowError(); err != nil {
		require.True(t, workflows.ResultOf(err, &result), "no result in %v", err)
		return result
	}
	require.NoError(t, s.env.GetWorkflowResult(&result))
	return result
}

// changes are the calls that change something. Those that only read, in whatever
// order, are left out.
func (s *harness) changes() []string {
	var kept []string
	for _, call := range s.calls {
		verb, _, _ := strings.Cut(call, " ")
		if !slices.Contains([]string{"Survey", "ImageExists", "LoadRelease", "BeginDeployment", "LastSeen", "Deploying", "ListContainers", "ListServices", "PortHolders"}, verb) {
			kept = append(kept, call)
		}
	}
	return kept
}

// shop is a service of two components; web needs api.
func shop() workflows.DeployInput {
	return workflows.DeployInput{
		Verb: fleet.VerbDeploy,
		Definition: servicedef.Service{
			Name: "shop", Node: "rift", Active: true, Path: "shop", File: "shop.toml",
			Build: servicedef.Build{Images: map[string]servicedef.ImageBuild{"api": {Containerfile: "Containerfile.api"}}},
			Components: []servicedef.Component{
				{Name: "api", Node: "rift", Image: "r.example/api:v1", Order: servicedef.StartFirst,
					Routes: []servicedef.Route{{Name: "rest", Port: 8443, Mode: "l4"}}},
				{Name: "web", Node: "rift", Image: "r.example/web:v1", Order: servicedef.StopFirst, DependsOn: []string{"api"}},
			},
		},
		Builder: "orion", Who: "operator", From: "somewhere", Deadline: 10 * time.Minute,
	}
}

// released sets up a definition that is deployed and runs.
func (s *harness) released(in workflows.DeployInput) {
	definition := in.Definition
	s.release = fleet.Release{Service: "shop", Number: 7, Newest: 7, Active: true, Definition: &definition, Components: map[string]fleet.Member{}}
	for _, c := range definition.Components {
		digest := s.images[c.Image]
		m := fleet.Member{
			Component: c.Name, Container: servicedef.ContainerNameFor("shop", c.Name), Node: c.Node, Deployment: 7,
			Image: c.Image, Digest: digest, Spec: plan.SpecHash(c, digest), Active: true,
		}
		s.release.Components[c.Name] = m
		s.nodes[c.Node] = append(s.nodes[c.Node], fleet.Container{
			Name: m.Container, Service: "shop", Component: c.Name, Deployment: 7, Spec: m.Spec, Running: true,
		})
	}
}

// cutCall cuts the activity from a call, if it is that one.
func cutCall(call, activity string) (subject string, is bool) {
	return strings.CutPrefix(call, activity+" ")
}

// failing makes the first times attempts of calls with that prefix fail; all of them
// when times is 0.
func failing(call string, times int32, err error) func(string, int32) error {
	return func(got string, attempt int32) error {
		if strings.HasPrefix(got, call) && (times == 0 || attempt <= times) {
			return err
		}
		return nil
	}
}

var errUnhealthy = fault.New(fault.Unhealthy, "container shop-web.next: exited with code 3")
