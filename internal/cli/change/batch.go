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
	"github.com/metacircular/mcp/internal/plan/exchange"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// deploysAtOnce is how many deploys a command has under way at once. More would
// only wait for one another, at the builder and on the nodes.
const deploysAtOnce = 8

// batch holds the deploys of one command. Their lines begin with the name of their
// service; one builder serves them all.
type batch struct {
	session *session.Session
	client  client.Client
	builder *follow.Builder
	changed bool // only what a deploy would change is deployed
	wait    bool // until the containers that are replaced are gone
	width   int  // of the longest name
	lines   sync.Mutex
	// handovers are what the services take from one another.
	handovers []exchange.Handover
}

// fate is how one service of a batch ended.
type fate struct {
	result workflows.Result
	// code is the exit code of the error that kept the deploy from having a result.
	code exit.Code
	// unchanged reports whether it was not deployed because nothing would change.
	unchanged bool
}

// deployMany deploys several services: concurrently, except those that take something
// from others.
func deployMany(ctx context.Context, s *session.Session, c client.Client, cfg *config.Config, inputs []workflows.DeployInput, o deployOptions) error {
	b := &batch{session: s, client: c, builder: s.Builder(c, cfg), changed: o.changed, wait: o.wait}
	var definitions []servicedef.Service
	for _, in := range inputs {
		definitions = append(definitions, in.Definition)
	}
	shown := showBuilds(ctx, s, c, cfg, o.sourceOptions, definitions...)
	defer shown.stop()
	b.builder.Output = shown.writer()
	shown.start()
	for _, in := range inputs {
		b.width = max(b.width, len(in.Definition.Name))
	}
	groups, handovers, err := turns(ctx, s, c, inputs)
	if err != nil {
		return err
	}
	b.handovers = handovers
	fates, failed := map[string]fate{}, map[string]bool{}
	for _, group := range groups {
		for service, e := range b.together(ctx, group, inputs, failed) {
			fates[service] = e
			failed[service] = !e.unchanged && e.result.Outcome != workflows.Succeeded && e.result.Outcome != workflows.Unchanged
		}
	}
	b.builder.Stop()
	var list []fate
	for _, in := range inputs {
		if e := fates[in.Definition.Name]; !e.unchanged {
			list = append(list, e)
		}
	}
	return b.show(list)
}

// together deploys the services of a group concurrently, except those that would take
// something from one that has failed.
func (b *batch) together(ctx context.Context, group []string, inputs []workflows.DeployInput, failed map[string]bool) map[string]fate {
	fates := map[string]fate{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(deploysAtOnce)
	for _, in := range inputs {
		service := in.Definition.Name
		if !slices.Contains(group, service) {
			continue
		}
		g.Go(func() error {
			e := fate{result: notBegun(service), code: exit.Failed}
			if e.result.Error = notGiven(service, b.handovers, failed); e.result.Error != nil {
				e.result.Outcome = workflows.Failed
			} else {
				e = b.deploy(ctx, in)
			}
			mu.Lock()
			defer mu.Unlock()
			fates[service] = e
			return nil
		})
	}
	_ = g.Wait() // each has its own result
	return fates
}

// notBegun returns the result of a deploy that has not begun.
func notBegun(service string) workflows.Result {
	return workflows.Result{Service: service, WorkflowID: workflows.DeployID(service), Components: []workflows.ComponentResult{}}
}

// sessionOf returns the session for one service of the batch.
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
	e := fate{result: notBegun(service)}
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
	in.Force = false // which would replace every container
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
	follower.ToEnd = b.wait || slices.ContainsFunc(b.handovers, func(h exchange.Handover) bool {
		return h.Giver == in.Definition.Name && !h.Claim // its old container has to go first
	})
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
