package change

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// deploysAtOnce is how many deploys a command has under way at once. More would
// only wait for one another, at the builder and on the nodes.
const deploysAtOnce = 8

// batch has the deploys of one command. Their lines begin with the name of their
// service; one builder serves them all.
type batch struct {
	session *session.Session
	client  client.Client
	builder *follow.Builder
	changed bool // only what a deploy would change is deployed
	wait    bool // until the containers that are replaced are gone
	width   int  // of the longest name
	lines   sync.Mutex
}

// fate is how one service of a batch ended.
type fate struct {
	result workflows.Result
	// code is the exit code of the error that kept the deploy from having a result.
	code exit.Code
	// unchanged is set where it was not deployed, because nothing would change.
	unchanged bool
}

// deployMany deploys several services concurrently.
func deployMany(ctx context.Context, s *session.Session, c client.Client, cfg *config.Config, inputs []workflows.DeployInput, o deployOptions) error {
	b := &batch{session: s, client: c, builder: s.Builder(c, cfg), changed: o.changed, wait: o.wait}
	for _, in := range inputs {
		b.width = max(b.width, len(in.Definition.Name))
	}
	list := make([]fate, len(inputs))
	var g errgroup.Group
	g.SetLimit(deploysAtOnce)
	for i, in := range inputs {
		g.Go(func() error {
			list[i] = b.deploy(ctx, in)
			return nil
		})
	}
	_ = g.Wait() // each has its own result
	b.builder.Stop()
	return b.show(slices.DeleteFunc(list, func(e fate) bool { return e.unchanged }))
}

// sessionOf is the session for one service of the batch.
func (b *batch) sessionOf(service string) *session.Session {
	one := *b.session
	one.Prefix = fmt.Sprintf("%-*s ", b.width, service)
	one.Stderr = ui.Prefixed(&b.lines, b.session.Stderr, one.Prefix)
	one.JSON = false // its result is one of a list
	return &one
}

// deploy deploys one service of the batch.
func (b *batch) deploy(ctx context.Context, in workflows.DeployInput) fate {
	service := in.Definition.Name
	one := b.sessionOf(service)
	e := fate{result: workflows.Result{
		Service: service, WorkflowID: workflows.DeployID(service), Components: []workflows.ComponentResult{},
	}}
	unchanged, err := b.isUnchanged(ctx, one, in)
	if err == nil && unchanged {
		return fate{unchanged: true}
	}
	if err == nil {
		err = b.follow(ctx, one, in, &e.result)
	}
	if err == nil {
		return e
	}
	begun := e.result.RunID != ""
	e.result.Outcome = workflows.Failed
	if begun {
		e.result.Outcome = follow.Running
	}
	var interrupted bool
	if e.code, interrupted = exit.CodeOf(err); !interrupted {
		e.code, e.result.Error = exit.Classify(err)
	} else if !begun {
		e.result.Outcome = workflows.Cancelled
		e.result.Error = fault.New(fault.Conflict, "interrupted before the deploy was begun")
	}
	return e
}

// isUnchanged reports whether a service is left out because a deploy would change
// nothing.
func (b *batch) isUnchanged(ctx context.Context, one *session.Session, in workflows.DeployInput) (bool, error) {
	if ctx.Err() != nil {
		return false, exit.Interrupted
	}
	if !b.changed {
		return false, nil
	}
	in.Force = false // which would have every container replaced
	var result workflows.PlanResult
	err := one.Read(ctx, b.client, "plan", workflows.PlanName, in, &result)
	return err == nil && result.Plan.Unchanged(), err
}

// follow starts a deploy, or attaches to it, and follows it to its end. Once it runs
// the result has the id of the run.
func (b *batch) follow(ctx context.Context, one *session.Session, in workflows.DeployInput, result *workflows.Result) error {
	run, err := startDeploy(ctx, one, b.client, in)
	if err != nil {
		return err
	}
	result.RunID = run.GetRunID()
	follower := one.Follow(b.client)
	follower.ToEnd = b.wait
	if follower.Builds, err = b.builder.Serve(ctx, in.Definition); err != nil {
		return err
	}
	return follower.Run(ctx, run, result)
}

// show shows how each deploy ended, and returns the exit code of the worst.
func (b *batch) show(list []fate) error {
	if len(list) == 0 {
		b.session.Say("nothing to deploy: no definition would change anything")
	}
	results := []workflows.Result{}
	for _, e := range list {
		results = append(results, e.result)
	}
	if b.session.JSON {
		b.session.PrintJSON(results)
	}
	worst := exit.Done
	for _, e := range list {
		one := b.sessionOf(e.result.Service)
		one.JSON = b.session.JSON
		code, _ := exit.CodeOf(reportResult(one, e.result))
		worst = max(worst, code, e.code)
	}
	if worst != exit.Done {
		return worst
	}
	return nil
}
