package crash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/test/crash/announce"
	"github.com/metacircular/mcp/test/outside"
	"github.com/metacircular/mcp/workflows"
)

// timeout bounds a wait, beyond the time that the target is away: a heartbeat is
// missed after 15 s, and retries come every 10 s. The rest is for a busy machine.
const timeout = 3 * time.Minute

// faultCase is one deploy in which one target fails at one point. Without a
// target nothing fails: such a case is the baseline of its scenario.
type faultCase struct {
	rig      *rig
	scenario scenario
	service  string
	node     string // that the service is deployed to
	target   string
	how      failure
	at       point
	// durations are half of what each activity took in the baseline: a fault
	// inside an activity is injected half-way.
	durations map[point]time.Duration

	byHand   runtime.ContainerInfo // as it was started
	lostRun  string                // run id of the deploy that was terminated
	survivor runtime.ContainerInfo // which ran when the control plane lost something
	counter  *counter
	calls    map[string][]point // to each engine, in a baseline
	hang     *hang              // where a call to an engine hangs
	whole    time.Duration      // the time from its end until the service was whole
	cli      *part
	prober   *prober // of a scenario that promises no failed request
	outside  *outside.Judge
	mu       sync.Mutex
	began    map[string]time.Time // by the moment's key
	seen     []point
	injected sync.Once
	back     chan error // gets one value when the target is back
	cancels  sync.Once

	verdict verdict
	err     error  // why the verdict is wrong
	logs    string // what the parts have logged meanwhile, if it is wrong
	cause   string // message of the last deployment that failed
}

// prepare brings the service into the scenario's initial state.
func (fc *faultCase) prepare() error {
	fc.counter, fc.began, fc.back = newCounter(), map[string]time.Time{}, make(chan error, 1)
	fc.service = fmt.Sprintf("s%d", fc.rig.cases.Add(1))
	fc.node = cmp.Or(fc.node, nodeNames[0])
	if err := os.MkdirAll(fc.jobData(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(fc.rig.volume(fc.service), "precious"), []byte(fc.service), 0o600); err != nil {
		return err
	}
	if fc.scenario.byHand {
		if err := fc.rig.define(fc.service, v1(fc)); err != nil {
			return err
		}
		if err := fc.runByHand(); err != nil {
			return err
		}
	}
	for _, definition := range fc.scenario.before {
		if err := fc.rig.define(fc.service, definition(fc)); err != nil {
			return err
		}
		if err := fc.toEnd("deploy", fc.service); err != nil {
			return err
		}
	}
	if err := fc.runJob(); err != nil {
		return err
	}
	if fc.scenario.beforeVerb != nil {
		if err := fc.toEnd(append(slices.Clone(fc.scenario.beforeVerb), fc.service)...); err != nil {
			return err
		}
	}
	if fc.scenario.terminated != nil {
		return fc.terminate()
	}
	return fc.lose()
}

// toEnd runs a verb, and returns when its workflow has ended too: its activities are none
// of the case's.
func (fc *faultCase) toEnd(args ...string) error {
	if err := fc.rig.run(args...); err != nil {
		return err
	}
	return fc.closed()
}

// terminate starts a deploy, and terminates its workflow when it has created a
// container. Its RunContainer goes on until its next heartbeat is refused.
func (fc *faultCase) terminate() error {
	if err := fc.rig.define(fc.service, fc.scenario.terminated(fc)); err != nil {
		return err
	}
	cli, err := fc.rig.mcp("deploy", fc.service)
	if err != nil {
		return err
	}
	defer cli.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err = await(timeout, "the deploy to terminate creates a container", func() bool {
		all, err := fc.containers(ctx)
		return err == nil && slices.ContainsFunc(all, func(c found) bool { return strings.HasSuffix(c.Name, fleet.NextSuffix) })
	})
	if err != nil {
		return err
	}
	lost, err := fc.rig.temporal.DescribeWorkflow(ctx, workflows.DeployID(fc.service), "")
	if err != nil {
		return err
	}
	fc.lostRun = lost.WorkflowExecution.RunID
	return fc.rig.temporal.TerminateWorkflow(ctx, workflows.DeployID(fc.service), fc.lostRun, "a test")
}

// run runs the scenario's verb, and returns when the deploy has ended and the
// target is back. An error means that the case cannot be judged.
func (fc *faultCase) run() error {
	if err := fc.begin(); err != nil {
		return err
	}
	defer fc.end()
	if fc.target != "" {
		if err := fc.awaitFault(); err != nil {
			return err
		}
	}
	return fc.settle(timeout + fc.how.away)
}

// begin starts the verb of the scenario.
func (fc *faultCase) begin() error {
	verb := append(slices.Clone(fc.scenario.verb), fc.service)
	if fc.scenario.then != nil {
		verb = []string{"deploy", fc.service}
		if err := fc.rig.define(fc.service, fc.scenario.then(fc)); err != nil {
			return err
		}
	}
	fc.rig.hub.subscribe(workflows.DeployID(fc.service), fc.on)
	if fc.scenario.heals() {
		verb = []string{"status", fc.service}
		if err := fc.damage(); err != nil {
			return err
		}
	}
	fc.cli = &part{name: theCLI, start: func(context.Context) (process, error) { return fc.rig.mcp(verb...) }}
	fc.watchEngines()
	if err := fc.cli.up(context.Background()); err != nil {
		return err
	}
	if fc.hang != nil {
		go fc.awaitHang()
	}
	return nil
}

// end undoes begin.
func (fc *faultCase) end() {
	fc.rig.hub.unsubscribe(workflows.DeployID(fc.service))
	fc.unwatchEngines()
	if cli := fc.cli.now(); cli != nil {
		cli.Stop()
	}
}

// settle waits until the verb and its workflow have ended.
func (fc *faultCase) settle(timeout time.Duration) error {
	if err := await(timeout, "the command line ends", fc.cli.ended); err != nil {
		return errors.Join(err, fc.closed())
	}
	if fc.scenario.heals() {
		if err := fc.healed(); err != nil {
			return err
		}
	}
	return fc.closed()
}

// awaitFault waits until the fault has been injected and is over.
func (fc *faultCase) awaitFault() error {
	select {
	case err := <-fc.back:
		if err != nil {
			return fmt.Errorf("bring back %s: %w", fc.target, err)
		}
		return nil
	case <-time.After(timeout + fc.how.away):
		return fmt.Errorf("the deploy never reached %s", fc.at)
	}
}

// mended waits until Mend has repaired what an undo could not reach, and until a
// node that has booted runs its containers again.
func (fc *faultCase) mended() error {
	if fc.target == theNode {
		if err := fc.revived(); err != nil {
			return err
		}
	}
	if !fc.allowed().undone {
		return nil
	}
	return await(timeout, "the service is mended", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		release, err := fc.rig.store.Release(ctx, fc.service)
		return err == nil && !release.Dirty
	})
}

// revived waits until a node that has booted runs its containers again, and the
// service answers.
func (fc *faultCase) revived() error {
	node := fc.rig.node(fc.node)
	defer node.unplugged.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	if err := await(timeout, "the node runs its containers", func() bool { return node.revived(ctx, fc.rig) }); err != nil {
		return err
	}
	release, err := fc.rig.store.Release(ctx, fc.service)
	if err != nil || !release.Active || len(release.Components) == 0 {
		return err
	}
	return await(timeout, "the service answers", func() bool {
		_, err := ask(fc.address(ctx))
		return err == nil
	})
}

// closed waits until the deploy's workflow has ended.
func (fc *faultCase) closed() error {
	return await(timeout, "the workflow ends", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		described, err := fc.rig.temporal.DescribeWorkflow(ctx, workflows.DeployID(fc.service), "")
		return err == nil && described.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	})
}

// on handles each moment of the deploy's activities, and injects the fault at the
// case's point.
func (fc *faultCase) on(m announce.Moment) {
	if m.Run == fc.lostRun {
		return // of the deploy that was terminated
	}
	here := point{activity: m.Activity, nth: fc.counter.of(m), where: before}
	if m.After {
		here.where = after
	}
	fc.note(m, here)
	if fc.scenario.cancel && m.Activity == "RunContainer" && !m.After {
		fc.cancels.Do(func() { time.AfterFunc(cancelDelay, fc.cancel) })
	}
	switch at := fc.at; {
	case fc.target == "":
	case here == at:
		fc.inject()
	case at.where == inside && here == point{at.activity, at.nth, before}:
		time.AfterFunc(fc.durations[at], fc.inject)
	}
}

// note records the point and how long the activity takes. Only a baseline does:
// its points make the matrix.
func (fc *faultCase) note(m announce.Moment, here point) {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	if fc.target != "" || m.Attempt > 1 || slices.Contains(fc.seen, here) {
		return
	}
	if !m.After {
		fc.began[m.Key()] = time.Now()
		fc.seen = append(fc.seen, here, point{here.activity, here.nth, inside})
		return
	}
	fc.seen = append(fc.seen, here)
	if fc.durations == nil {
		fc.durations = map[point]time.Duration{}
	}
	fc.durations[point{here.activity, here.nth, inside}] = time.Since(fc.began[m.Key()]) / 2
}

// cancel requests the cancellation until Temporal accepts it.
func (fc *faultCase) cancel() {
	_ = await(time.Minute, "cancel", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return fc.rig.temporal.CancelWorkflow(ctx, workflows.DeployID(fc.service), "") == nil
	})
}

// clean removes the service's containers, to free the machine for the next case.
func (fc *faultCase) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	containers, _ := fc.containers(ctx)
	for _, c := range containers {
		_ = fc.rig.node(c.Node).engine.Remove(ctx, c.Name)
	}
	if fc.target == theNetwork || fc.target == theCertificate {
		_ = await(timeout, "the node is back", func() bool { return fc.rig.answers(ctx, fc.node) })
	}
}
