package threat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

const (
	// nodeAnswers is how many answers of nodes are made up. Of each surveyed, one in
	// so many is an observation, and one a whole deploy on nodes that answer like that.
	nodeAnswers   = 10_000
	oneObservedIn = 8
	oneDeployedIn = 100
	// victims are the services that they are about.
	victims = 10
)

// TestNoAnswerOfANodeMakesAServiceUnusable feeds answers that a broken or hostile node,
// or whoever may label a container on it, can give through the real workflows, activities
// and registry, and then deploys, undeploys and purges each service.
func TestNoAnswerOfANodeMakesAServiceUnusable(t *testing.T) {
	c := newControlled(t)
	attacker := &attacker{rand.New(rand.NewPCG(1, 2))}
	for i := range victims {
		require.NoError(t, c.deploy(victim(i), healthy{}))
	}
	refused := 0
	for i := range nodeAnswers {
		service := victim(i % victims)
		require.NoError(t, c.survey(service, attacker.survey(service)))
		if i%oneObservedIn == 0 {
			require.NoError(t, c.observe(attacker.observation(service)))
		}
		if i%oneDeployedIn == 0 {
			if err := c.deploy(service, attacker); err != nil {
				refused++ // as a deploy on such a node may be
			}
		}
	}
	unusable := 0
	for i := range victims {
		err := errors.Join(c.deploy(victim(i), healthy{}), c.undeploy(victim(i), healthy{}), c.purge(victim(i)))
		if err != nil {
			unusable++
			t.Errorf("%s: %v", victim(i), err)
		}
	}
	t.Logf("node answers and labels: %d (with %d observations and %d deploys, of which %d were refused); services that became unusable: %d",
		nodeAnswers, nodeAnswers/oneObservedIn, nodeAnswers/oneDeployedIn, refused, unusable)
	require.Zero(t, unusable)
}

func victim(i int) string { return fmt.Sprintf("victim-%d", i) }

// controlled is a control plane: the real activities on a real registry.
type controlled struct {
	t       *testing.T
	store   *registry.Store
	control *oncontrol.Control
	suite   testsuite.WorkflowTestSuite
	runs    int
	// releases are those that were read since the last deploy.
	releases map[string]fleet.Release
	at       time.Time
}

func newControlled(t *testing.T) *controlled {
	server, err := parts.StartPostgres(t.Context(), parts.PostgresOptions{Dir: t.TempDir(), Unsafe: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Destroy()) })
	_, _, err = registry.Migrate(t.Context(), server.URL())
	require.NoError(t, err)
	store, err := registry.Open(t.Context(), server.URL())
	require.NoError(t, err)
	t.Cleanup(store.Close)
	c := &controlled{t: t, store: store, at: time.Now(), releases: map[string]fleet.Release{}}
	c.suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	c.control = &oncontrol.Control{Registry: store, Images: images{}, Lock: idle{}}
	_, err = c.control.RecordNode(t.Context(), fleet.NodeRecord{Name: "rift"})
	require.NoError(t, err)
	return c
}

// images is an image registry that has every image.
type images struct{}

func (images) Digest(context.Context, string) (string, error) {
	return "sha256:" + strings.Repeat("a", 64), nil
}

// idle is a lock that no deploy holds.
type idle struct{}

func (idle) Held(context.Context, string) (bool, error)         { return false, nil }
func (idle) Open(context.Context, string, string) (bool, error) { return false, nil }

// identified is the registry as one run of a workflow sees it: in a test environment all
// have one id.
type identified struct {
	*registry.Store
	run string
}

func (i identified) BeginDeployment(ctx context.Context, r fleet.BeginRequest) (fleet.BeginResult, error) {
	r.RunID = i.run
	return i.Store.BeginDeployment(ctx, r)
}

func (i identified) Renumber(ctx context.Context, r fleet.RenumberRequest) (int, error) {
	r.RunID = i.run
	return i.Store.Renumber(ctx, r)
}

func (i identified) AllocatePorts(ctx context.Context, r fleet.PortRequest) ([]fleet.Route, error) {
	r.Run = i.run
	return i.Store.AllocatePorts(ctx, r)
}

func (i identified) CommitRelease(ctx context.Context, r fleet.CommitRequest, publish func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Committed, error) {
	r.Run = i.run
	return i.Store.CommitRelease(ctx, r, publish)
}

func (i identified) FinishDeployment(ctx context.Context, r fleet.FinishRequest) error {
	r.Run = i.run
	return i.Store.FinishDeployment(ctx, r)
}

// answerer is the worker of a node.
type answerer interface {
	survey(service string) onnode.SurveyResult
	// step answers a step that changes containers.
	step() error
	cutOver() (onnode.CutOverResult, error)
}

// healthy is a node without containers on which everything succeeds.
type healthy struct{}

func (healthy) survey(string) onnode.SurveyResult {
	return onnode.SurveyResult{FreePorts: []int{20001, 20002, 20003, 20004, 20005, 20006, 20007, 20008, 20009, 20010, 20011, 20012}}
}
func (healthy) step() error                            { return nil }
func (healthy) cutOver() (onnode.CutOverResult, error) { return onnode.CutOverResult{}, nil }

// deploy runs the workflow of a deploy on a node.
func (c *controlled) deploy(service string, on answerer) error {
	definition, err := servicedef.Parse([]byte(`node = "rift"
name = "`+service+`"
[[components]]
name = "api"
image = "r.example/api:v1"
order = "start-first"
[[components.routes]]
name = "http"
port = 443
mode = "l7"
`), "")
	if err != nil {
		return err
	}
	return c.run(workflows.DeployInput{Verb: fleet.VerbDeploy, Definition: *definition, Force: true, Deadline: time.Minute}, on)
}

func (c *controlled) undeploy(service string, on answerer) error {
	return c.run(workflows.DeployInput{Verb: fleet.VerbUndeploy, Definition: servicedef.Service{Name: service}, Deadline: time.Minute}, on)
}

func (c *controlled) run(in workflows.DeployInput, on answerer) error {
	c.runs++
	clear(c.releases)
	env := c.suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	env.RegisterWorkflowWithOptions(workflows.Deploy, workflow.RegisterOptions{Name: workflows.DeployName})
	env.RegisterWorkflowWithOptions(func(workflow.Context, workflows.MendInput) error { return nil }, workflow.RegisterOptions{Name: workflows.MendName})
	control := *c.control
	control.Registry = identified{c.store, fmt.Sprint("run-", c.runs)}
	env.RegisterActivity(&control)
	add := func(name string, answer any) {
		env.RegisterActivityWithOptions(answer, activity.RegisterOptions{Name: name})
	}
	done := func(context.Context, any) error { return failed(on.step()) }
	add("Survey", func(_ context.Context, in onnode.SurveyInput) (onnode.SurveyResult, error) {
		return on.survey(in.Service), nil
	})
	add("RunContainer", func(context.Context, any) (onnode.RunContainerResult, error) {
		return onnode.RunContainerResult{ID: "id"}, failed(on.step())
	})
	add("CutOver", func(context.Context, any) (onnode.CutOverResult, error) {
		result, err := on.cutOver()
		return result, failed(err)
	})
	for _, step := range []string{"StopContainer", "Restore", "Retire"} {
		add(step, done)
	}
	env.ExecuteWorkflow(workflows.DeployName, in)
	return env.GetWorkflowError()
}

// failed is an error as a node's worker sends it, which is not retried.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return attempt.ToTemporal(err, false)
}

func (c *controlled) purge(service string) error {
	_, err := c.control.Purge(c.t.Context(), oncontrol.PurgeInput{Service: service})
	return err
}

// survey plans a deploy by an answer, and has the registry follow it where it asks for a
// number.
func (c *controlled) survey(service string, answer onnode.SurveyResult) error {
	answer = travelled(answer).Checked()
	release, err := c.release(service)
	if err != nil {
		return err
	}
	if _, err := plan.Make(plan.Input{
		Desired: *release.Definition, Release: release, Digests: map[string]string{"r.example/api:v1": "sha256:new"},
		Nodes: map[string]plan.Node{"rift": {Reachable: true, Containers: answer.Containers}},
	}); err != nil && !errors.As(err, new(*plan.ForeignContainerError)) {
		return err
	}
	for _, port := range answer.FreePorts {
		if port < 1 || port > fleet.MaxPort {
			return fmt.Errorf("port %d is free", port)
		}
	}
	return nil
}

// release is a service's, read once for many answers.
func (c *controlled) release(service string) (fleet.Release, error) {
	if release, read := c.releases[service]; read {
		return release, nil
	}
	release, err := c.store.Release(c.t.Context(), service)
	c.releases[service] = release
	return release, err
}

// observe records an observation as the monitor does.
func (c *controlled) observe(o fleet.Observation) error {
	c.at = c.at.Add(time.Second)
	o.Node, o.At = "rift", c.at
	env := c.suite.NewTestActivityEnvironment()
	env.RegisterActivity(c.control)
	_, err := env.ExecuteActivity(c.control.RecordObservation, travelled(o))
	return err
}

// travelled is an answer as Temporal delivers it.
func travelled[T any](answer T) (got T) {
	text, err := json.Marshal(answer)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", answer, err)) // a node's worker cannot send it
	}
	if err := json.Unmarshal(text, &got); err != nil {
		panic(fmt.Sprintf("decode %T: %v", answer, err))
	}
	return got
}

// attacker makes up answers.
type attacker struct{ *rand.Rand }

// pick returns one of some values.
func pick[T any](a *attacker, values ...T) T { return values[a.IntN(len(values))] }

// word is a text where a name or a word should be.
func (a *attacker) word(right ...string) string {
	if len(right) > 0 && a.IntN(2) == 0 {
		return pick(a, right...)
	}
	return pick(a, "", "x", "\x00", "a\x00b", "\xff\xfe", "\xc3", "\u202e", "\x1b]52;c;ZXZpbA==\x07", "'; drop table services; --",
		"../../etc/passwd", "null", "-1", "\ufffe", "\U0010ffff", "victim-0", "victim-1-api", "victim-0.next", "VICTIM-0",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("b", 3000), strings.Repeat("\x00", 300), strings.Repeat("é", 5000))
}

// number is a number where a small one should be.
func (a *attacker) number(right ...int) int {
	if len(right) > 0 && a.IntN(2) == 0 {
		return pick(a, right...)
	}
	return pick(a, 0, -1, 1, 2, 65535, 65536, 999_999, 1_000_000, 1_000_002, math.MaxInt16, math.MaxInt32, math.MaxInt32+1,
		math.MinInt32, math.MaxInt, math.MinInt, math.MaxInt-1, 1<<53+1, int(a.Int64()), -int(a.Int64()))
}

func (a *attacker) moment() time.Time {
	return pick(a, time.Time{}, time.Now(), time.Unix(0, 0), time.Unix(-62135596800, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
}

func (a *attacker) container(service string) fleet.Container {
	name, label, component := service+"-api", service, "api"
	if a.IntN(8) == 0 {
		label, component = a.word(service), a.word("api")
	}
	return fleet.Container{
		Name: a.word(name, name+".next", name+".prev", service), Service: label, Component: component,
		Deployment: a.number(1, 2, 3), Run: a.word("run-1", "default-test-run-id"), Spec: a.word(), Running: a.IntN(2) == 0,
		ID: a.word(fmt.Sprint(a.Uint64())), Image: a.word("r.example/api@sha256:" + strings.Repeat("a", 64)), Digest: a.word(),
		State: a.word("running", "stopped"), Health: a.word("unhealthy"), ExitCode: a.number(), Restarts: a.number(0, 3, 100),
		Started: a.moment(), UptimeSeconds: int64(a.number()),
		Ports: []servicedef.Port{{IP: a.word(), Host: a.number(20001), Container: a.number(20001), Protocol: a.word("tcp")}},
	}
}

func (a *attacker) containers(service string) []fleet.Container {
	var list []fleet.Container
	for range a.IntN(6) {
		list = append(list, a.container(service))
	}
	if len(list) > 0 && a.IntN(4) == 0 {
		list = append(list, list[0]) // once more
	}
	return list
}

func (a *attacker) survey(service string) onnode.SurveyResult {
	return onnode.SurveyResult{
		Containers: a.containers(service), FreePorts: append([]int{a.number(), a.number()}, slices.Repeat([]int{10_000 + a.IntN(50_000)}, a.IntN(8))...),
		MissingSecrets: []string{a.word()}, Ahead: a.number(1, 2, 3, 10), Fence: a.word(),
	}
}

func (a *attacker) figure() float64 {
	return pick(a, 0, -1, 50, 100, 101, 1e38, 1e39, 1e300, -1e300, math.MaxFloat64, math.SmallestNonzeroFloat64)
}

func (a *attacker) usage() fleet.Usage {
	return fleet.Usage{Total: pick[uint64](a, 0, 1, 100, math.MaxUint64), Used: pick[uint64](a, 0, 1, 99, math.MaxUint64)}
}

func (a *attacker) observation(service string) fleet.Observation {
	if a.IntN(10) == 0 {
		return fleet.Observation{Problem: "no answer" + a.word()}
	}
	status := &fleet.NodeStatus{Hostname: a.word(), Kernel: a.word(), Arch: a.word(), Storage: a.word(), Network: a.word(), Cgroups: a.word()}
	status.EphemeralLow, status.EphemeralHigh = a.number(), a.number()
	status.NodeFigures = fleet.NodeFigures{
		UptimeSeconds: int64(a.number()), Runtime: a.word(), MCP: a.word(), CPUPercent: a.figure(),
		Load: slices.Repeat([]float64{a.figure()}, a.IntN(5)), Memory: a.usage(), Disk: a.usage(),
		Disks:      []fleet.Disk{{Path: a.word("/"), Usage: a.usage()}, {Path: a.word("/"), Usage: a.usage()}},
		Containers: a.number(), Running: a.number(),
	}
	return fleet.Observation{Status: status, Containers: a.containers(service)}
}

// step fails now and then, with whatever text and kind.
func (a *attacker) step() error {
	if a.IntN(3) > 0 {
		return nil
	}
	f := fault.New(pick(a, fault.Invalid, fault.Conflict, fault.NotFound, fault.Unhealthy, fault.Internal, fault.PortInUse, fault.Kind(a.word())), "%s", a.word())
	f.Port, f.Log, f.Hint, f.Node, f.Component = a.number(20001), []string{a.word(), a.word()}, a.word(), a.word(), a.word()
	return f
}

func (a *attacker) cutOver() (onnode.CutOverResult, error) {
	if a.IntN(3) == 0 {
		return onnode.CutOverResult{Refused: fault.New(fault.Unhealthy, "%s", a.word())}, nil
	}
	return onnode.CutOverResult{}, a.step()
}
