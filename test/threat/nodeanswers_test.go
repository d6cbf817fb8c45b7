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
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
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
	liar := &liar{rand.New(rand.NewPCG(1, 2))}
	for i := range victims {
		require.NoError(t, c.deploy(victim(i), honest{}))
	}
	refused := 0
	for i := range nodeAnswers {
		service := victim(i % victims)
		require.NoError(t, c.survey(service, liar.survey(service)))
		if i%oneObservedIn == 0 {
			require.NoError(t, c.observe(liar.observation(service)))
		}
		if i%oneDeployedIn == 0 {
			if err := c.deploy(service, liar); err != nil {
				refused++ // as a deploy on such a node may be
			}
		}
	}
	unusable := 0
	for i := range victims {
		err := errors.Join(c.deploy(victim(i), honest{}), c.undeploy(victim(i), honest{}), c.purge(victim(i)))
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
	control *activities.Control
	suite   testsuite.WorkflowTestSuite
	runs    int
	// releases are those that were read since the last deploy.
	releases map[string]fleet.Release
	at       time.Time
}

func newControlled(t *testing.T) *controlled {
	server, err := parts.StartPostgres(t.Context(), parts.PostgresOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Destroy()) })
	_, _, err = registry.Migrate(t.Context(), server.URL())
	require.NoError(t, err)
	store, err := registry.Open(t.Context(), server.URL())
	require.NoError(t, err)
	t.Cleanup(store.Close)
	c := &controlled{t: t, store: store, at: time.Now(), releases: map[string]fleet.Release{}}
	c.suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	c.control = &activities.Control{Registry: store, Images: images{}, Lock: nobody{}}
	_, err = c.control.RecordNode(t.Context(), fleet.NodeRecord{Name: "rift"})
	require.NoError(t, err)
	return c
}

// images is an image registry that has every image.
type images struct{}

func (images) Digest(context.Context, string) (string, error) {
	return "sha256:" + strings.Repeat("a", 64), nil
}

// nobody deploys anything.
type nobody struct{}

func (nobody) Held(context.Context, string) (bool, error)         { return false, nil }
func (nobody) Open(context.Context, string, string) (bool, error) { return false, nil }

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

func (i identified) CommitRelease(ctx context.Context, r fleet.CommitRequest) ([]fleet.FormerImage, error) {
	r.Run = i.run
	return i.Store.CommitRelease(ctx, r)
}

func (i identified) FinishDeployment(ctx context.Context, r fleet.FinishRequest) error {
	r.Run = i.run
	return i.Store.FinishDeployment(ctx, r)
}

// answerer is the worker of a node.
type answerer interface {
	survey(service string) activities.SurveyResult
	// step answers a step that changes containers.
	step() error
	cutOver() (activities.CutOverResult, error)
}

// honest is a node without containers on which everything succeeds.
type honest struct{}

func (honest) survey(string) activities.SurveyResult {
	return activities.SurveyResult{FreePorts: []int{20001, 20002, 20003, 20004, 20005, 20006, 20007, 20008, 20009, 20010, 20011, 20012}}
}
func (honest) step() error                                { return nil }
func (honest) cutOver() (activities.CutOverResult, error) { return activities.CutOverResult{}, nil }

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
	return c.run(workflows.DeployInput{Verb: workflows.VerbDeploy, Definition: *definition, Force: true, Deadline: time.Minute}, on)
}

func (c *controlled) undeploy(service string, on answerer) error {
	return c.run(workflows.DeployInput{Verb: workflows.VerbUndeploy, Definition: servicedef.Service{Name: service}, Deadline: time.Minute}, on)
}

func (c *controlled) run(in workflows.DeployInput, on answerer) error {
	c.runs++
	clear(c.releases)
	env := c.suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterWorkflowWithOptions(workflows.Deploy, workflow.RegisterOptions{Name: workflows.DeployName})
	env.RegisterWorkflowWithOptions(func(workflow.Context, workflows.MendInput) error { return nil }, workflow.RegisterOptions{Name: workflows.MendName})
	control := *c.control
	control.Registry = identified{c.store, fmt.Sprint("run-", c.runs)}
	env.RegisterActivity(&control)
	add := func(name string, answer any) {
		env.RegisterActivityWithOptions(answer, activity.RegisterOptions{Name: name})
	}
	done := func(context.Context, any) error { return failed(on.step()) }
	add("Survey", func(_ context.Context, in activities.SurveyInput) (activities.SurveyResult, error) {
		return on.survey(in.Service), nil
	})
	add("RunContainer", func(context.Context, any) (activities.RunContainerResult, error) {
		return activities.RunContainerResult{ID: "id"}, failed(on.step())
	})
	add("CutOver", func(context.Context, any) (activities.CutOverResult, error) {
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
	return activities.ToTemporal(err, false)
}

func (c *controlled) purge(service string) error {
	_, err := c.control.Purge(c.t.Context(), activities.PurgeInput{Service: service})
	return err
}

// survey plans a deploy by an answer, and has the registry follow it where it asks for a
// number.
func (c *controlled) survey(service string, answer activities.SurveyResult) error {
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

// liar makes up answers.
type liar struct{ *rand.Rand }

// pick returns one of some values.
func pick[T any](l *liar, values ...T) T { return values[l.IntN(len(values))] }

// word is a text where a name or a word should be.
func (l *liar) word(right ...string) string {
	if len(right) > 0 && l.IntN(2) == 0 {
		return pick(l, right...)
	}
	return pick(l, "", "x", "\x00", "a\x00b", "\xff\xfe", "\xc3", "\u202e", "\x1b]52;c;ZXZpbA==\x07", "'; drop table services; --",
		"../../etc/passwd", "null", "-1", "\ufffe", "\U0010ffff", "victim-0", "victim-1-api", "victim-0.next", "VICTIM-0",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("b", 3000), strings.Repeat("\x00", 300), strings.Repeat("é", 5000))
}

// number is a number where a small one should be.
func (l *liar) number(right ...int) int {
	if len(right) > 0 && l.IntN(2) == 0 {
		return pick(l, right...)
	}
	return pick(l, 0, -1, 1, 2, 65535, 65536, 999_999, 1_000_000, 1_000_002, math.MaxInt16, math.MaxInt32, math.MaxInt32+1,
		math.MinInt32, math.MaxInt, math.MinInt, math.MaxInt-1, 1<<53+1, int(l.Int64()), -int(l.Int64()))
}

func (l *liar) moment() time.Time {
	return pick(l, time.Time{}, time.Now(), time.Unix(0, 0), time.Unix(-62135596800, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
}

func (l *liar) container(service string) fleet.Container {
	name, label, component := service+"-api", service, "api"
	if l.IntN(8) == 0 {
		label, component = l.word(service), l.word("api")
	}
	return fleet.Container{
		Name: l.word(name, name+".next", name+".prev", service), Service: label, Component: component,
		Deployment: l.number(1, 2, 3), Run: l.word("run-1", "default-test-run-id"), Spec: l.word(), Running: l.IntN(2) == 0,
		ID: l.word(fmt.Sprint(l.Uint64())), Image: l.word("r.example/api@sha256:" + strings.Repeat("a", 64)), Digest: l.word(),
		State: l.word("running", "stopped"), Health: l.word("unhealthy"), ExitCode: l.number(), Restarts: l.number(0, 3, 100),
		Started: l.moment(), UptimeSeconds: int64(l.number()),
		Ports: []servicedef.Port{{IP: l.word(), Host: l.number(20001), Container: l.number(20001), Protocol: l.word("tcp")}},
	}
}

func (l *liar) containers(service string) []fleet.Container {
	var list []fleet.Container
	for range l.IntN(6) {
		list = append(list, l.container(service))
	}
	if len(list) > 0 && l.IntN(4) == 0 {
		list = append(list, list[0]) // once more
	}
	return list
}

func (l *liar) survey(service string) activities.SurveyResult {
	return activities.SurveyResult{
		Containers: l.containers(service), FreePorts: append([]int{l.number(), l.number()}, slices.Repeat([]int{10_000 + l.IntN(50_000)}, l.IntN(8))...),
		MissingSecrets: []string{l.word()}, Ahead: l.number(1, 2, 3, 10), Fence: l.word(),
	}
}

func (l *liar) figure() float64 {
	return pick(l, 0, -1, 50, 100, 101, 1e38, 1e39, 1e300, -1e300, math.MaxFloat64, math.SmallestNonzeroFloat64)
}

func (l *liar) usage() fleet.Usage {
	return fleet.Usage{Total: pick[uint64](l, 0, 1, 100, math.MaxUint64), Used: pick[uint64](l, 0, 1, 99, math.MaxUint64)}
}

func (l *liar) observation(service string) fleet.Observation {
	if l.IntN(10) == 0 {
		return fleet.Observation{Problem: "no answer" + l.word()}
	}
	status := &fleet.NodeStatus{Hostname: l.word(), Kernel: l.word(), Arch: l.word(), Storage: l.word(), Network: l.word(), Cgroups: l.word()}
	status.EphemeralLow, status.EphemeralHigh = l.number(), l.number()
	status.NodeFigures = fleet.NodeFigures{
		UptimeSeconds: int64(l.number()), Runtime: l.word(), MCP: l.word(), CPUPercent: l.figure(),
		Load: slices.Repeat([]float64{l.figure()}, l.IntN(5)), Memory: l.usage(), Disk: l.usage(),
		Disks:      []fleet.Disk{{Path: l.word("/"), Usage: l.usage()}, {Path: l.word("/"), Usage: l.usage()}},
		Containers: l.number(), Running: l.number(),
	}
	return fleet.Observation{Status: status, Containers: l.containers(service)}
}

// step fails now and then, with whatever text and kind.
func (l *liar) step() error {
	if l.IntN(3) > 0 {
		return nil
	}
	f := fault.New(pick(l, fault.Invalid, fault.Conflict, fault.NotFound, fault.Unhealthy, fault.Internal, fault.PortInUse, fault.Kind(l.word())), "%s", l.word())
	f.Port, f.Log, f.Hint, f.Node, f.Component = l.number(20001), []string{l.word(), l.word()}, l.word(), l.word(), l.word()
	return f
}

func (l *liar) cutOver() (activities.CutOverResult, error) {
	if l.IntN(3) == 0 {
		return activities.CutOverResult{Refused: fault.New(fault.Unhealthy, "%s", l.word())}, nil
	}
	return activities.CutOverResult{}, l.step()
}
