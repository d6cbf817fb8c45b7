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
	"github.com/metacircular/mcp/workflows"
)

// patience is how long a deploy may take beyond the time that somebody is
// away: heartbeats are missed after 15 s, and retries come every 10 s.
const patience = 90 * time.Second

// play is one deploy in which one process fails at one point; without a who,
// nothing fails.
type play struct {
	rig     *rig
	story   story
	service string
	// home is the node that it happens on.
	home string
	who  string
	how  failure
	at   point
	// lasts is how long the activities took where nothing failed: a fault
	// inside one strikes half-way.
	lasts map[point]time.Duration

	byHand  runtime.ContainerInfo // as it was started
	lostRun string                // of the deploy that was terminated
	counter *counter
	cli     *part
	visitor *visitor // of a story that promises to be steady
	mu      sync.Mutex
	began   map[string]time.Time // by the moment's key
	seen    []point
	strikes sync.Once
	back    chan error // gives one value when who is back
	cancels sync.Once

	verdict verdict
	err     error  // why it is wrong
	cause   string // what the last deployment that failed says
}

// prepare brings the service to what it was before.
func (p *play) prepare() error {
	p.counter, p.began, p.back = newCounter(), map[string]time.Time{}, make(chan error, 1)
	p.service = fmt.Sprintf("s%d", p.rig.played.Add(1))
	p.home = cmp.Or(p.home, nodeNames[0])
	if err := os.MkdirAll(p.rig.volume(p.service), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.rig.volume(p.service), "precious"), []byte(p.service), 0o600); err != nil {
		return err
	}
	if p.story.byHand {
		if err := p.rig.define(p.service, v1(p)); err != nil {
			return err
		}
		if err := p.runByHand(); err != nil {
			return err
		}
	}
	for _, definition := range p.story.before {
		if err := p.rig.define(p.service, definition(p)); err != nil {
			return err
		}
		if err := p.rig.run("deploy", p.service); err != nil {
			return err
		}
	}
	if p.story.told != nil {
		if err := p.rig.run(append(slices.Clone(p.story.told), p.service)...); err != nil {
			return err
		}
	}
	if p.story.lost != nil {
		return p.lose()
	}
	return nil
}

// lose begins a deploy, and terminates it when it has made a container. Its
// RunContainer goes on until it hears of that.
func (p *play) lose() error {
	if err := p.rig.define(p.service, p.story.lost(p)); err != nil {
		return err
	}
	cli, err := p.rig.mcp("deploy", p.service)
	if err != nil {
		return err
	}
	defer cli.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = await(patience, "the deploy that will be lost makes a container", func() bool {
		all, err := p.containers(ctx)
		return err == nil && slices.ContainsFunc(all, func(c found) bool { return strings.HasSuffix(c.Name, fleet.NextSuffix) })
	})
	if err != nil {
		return err
	}
	lost, err := p.rig.temporal.DescribeWorkflow(ctx, workflows.DeployID(p.service), "")
	if err != nil {
		return err
	}
	p.lostRun = lost.WorkflowExecution.RunID
	return p.rig.temporal.TerminateWorkflow(ctx, workflows.DeployID(p.service), p.lostRun, "a test")
}

// run plays the story and returns when the deploy has ended and everybody is
// back. The error says what keeps it from being judged.
func (p *play) run() error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	if p.who != "" {
		if err := p.awaitFault(); err != nil {
			return err
		}
	}
	return p.settle(patience + p.how.away)
}

// begin runs the verb that the story is about.
func (p *play) begin() error {
	verb := append(slices.Clone(p.story.verb), p.service)
	if p.story.then != nil {
		verb = []string{"deploy", p.service}
		if err := p.rig.define(p.service, p.story.then(p)); err != nil {
			return err
		}
	}
	p.rig.stage.direct(workflows.DeployID(p.service), p.on)
	p.cli = &part{name: theCLI, start: func(context.Context) (process, error) { return p.rig.mcp(verb...) }}
	return p.cli.up(context.Background())
}

// end lets go of what begin began.
func (p *play) end() {
	p.rig.stage.direct(workflows.DeployID(p.service), nil)
	if cli := p.cli.now(); cli != nil {
		cli.Stop()
	}
}

// settle waits until the verb and its workflow have ended.
func (p *play) settle(patience time.Duration) error {
	if err := await(patience, "the command line ends", p.cli.ended); err != nil {
		return errors.Join(err, p.closed())
	}
	return p.closed()
}

// awaitFault returns when the fault has struck and is over.
func (p *play) awaitFault() error {
	select {
	case err := <-p.back:
		if err != nil {
			return fmt.Errorf("bring back %s: %w", p.who, err)
		}
		return nil
	case <-time.After(patience + p.how.away):
		return fmt.Errorf("the deploy never came to %s", p.at)
	}
}

// mended waits until what an undo had to leave, on a node that was away, is put
// right, and until a node that has booted runs what it should.
func (p *play) mended() error {
	if p.who == theNode {
		if err := p.revived(); err != nil {
			return err
		}
	}
	if !p.allowed().undone {
		return nil
	}
	return await(patience, "the service is mended", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		release, err := p.rig.store.Release(ctx, p.service)
		return err == nil && !release.Dirty
	})
}

// revived waits until a node that has booted runs what it should, and what it
// has started has had the time to listen.
func (p *play) revived() error {
	home := p.rig.node(p.home)
	defer home.unplugged.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if err := await(patience, "the node runs what it should", func() bool { return home.revived(ctx, p.rig) }); err != nil {
		return err
	}
	release, err := p.rig.store.Release(ctx, p.service)
	if err != nil || !release.Active || len(release.Components) == 0 {
		return err
	}
	return await(patience, "the service answers", func() bool {
		_, err := ask(p.address(ctx))
		return err == nil
	})
}

// closed waits until the deploy's workflow has ended.
func (p *play) closed() error {
	return await(patience, "the workflow ends", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		described, err := p.rig.temporal.DescribeWorkflow(ctx, workflows.DeployID(p.service), "")
		return err == nil && described.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	})
}

// on is told of every moment of the deploy's activities, and strikes at the
// one that it waits for.
func (p *play) on(m moment) {
	if m.Run == p.lostRun {
		return // it goes on until it hears that it is lost
	}
	here := point{activity: m.Activity, nth: p.counter.of(m), where: before}
	if m.After {
		here.where = after
	}
	p.note(m, here)
	if p.story.cancel && m.Activity == "RunContainer" && !m.After {
		p.cancels.Do(func() { time.AfterFunc(cancelDelay, p.cancel) })
	}
	switch target := p.at; {
	case p.who == "":
	case here == target:
		p.strike()
	case target.where == inside && here == point{target.activity, target.nth, before}:
		time.AfterFunc(p.lasts[target], p.strike)
	}
}

// note remembers the point, and how long the activity takes.
func (p *play) note(m moment, here point) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.who != "" || m.Attempt > 1 || slices.Contains(p.seen, here) {
		return // only a rehearsal learns what there is
	}
	if !m.After {
		p.began[m.key()] = time.Now()
		p.seen = append(p.seen, here, point{here.activity, here.nth, inside})
		return
	}
	p.seen = append(p.seen, here)
	if p.lasts == nil {
		p.lasts = map[point]time.Duration{}
	}
	p.lasts[point{here.activity, here.nth, inside}] = time.Since(p.began[m.key()]) / 2
}

// cancel asks until Temporal has heard it.
func (p *play) cancel() {
	_ = await(time.Minute, "cancel", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return p.rig.temporal.CancelWorkflow(ctx, workflows.DeployID(p.service), "") == nil
	})
}

// clean removes the service's containers: the next play needs the machine.
func (p *play) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	containers, _ := p.containers(ctx)
	for _, c := range containers {
		_ = p.rig.node(c.Node).engine.Remove(ctx, c.Name)
	}
	if p.who == theNetwork {
		_ = await(patience, "the node is back", func() bool { return p.rig.answers(ctx, p.home) })
	}
}
