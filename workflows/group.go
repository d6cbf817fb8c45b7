package workflows

import "go.temporal.io/sdk/workflow"

// group runs steps side by side.
type group struct {
	cancel   workflow.CancelFunc
	ctx      workflow.Context
	selector workflow.Selector
	pending  int
	err      error
}

// newGroup makes a group whose steps are cancelled when one fails. They must be started
// with the group's own context.
func newGroup(ctx workflow.Context) *group {
	g := &group{selector: workflow.NewSelector(ctx)}
	g.ctx, g.cancel = workflow.WithCancel(ctx)
	return g
}

// context is the one with which the steps of the group are started.
func (g *group) context() workflow.Context { return g.ctx }

// add handles a future when it is ready. Handlers run one at a time.
func (g *group) add(future workflow.Future, handle func(workflow.Future) error) {
	g.pending++
	g.selector.AddFuture(future, func(f workflow.Future) {
		g.pending--
		g.fail(handle(f))
	})
}

// do runs a function of several steps in a coroutine.
func (g *group) do(run func(ctx workflow.Context) error) {
	future, settable := workflow.NewFuture(g.ctx)
	workflow.Go(g.ctx, func(ctx workflow.Context) { settable.Set(nil, run(ctx)) })
	g.add(future, func(f workflow.Future) error { return f.Get(g.ctx, nil) })
}

// fail keeps the first error, and cancels the steps that still run: their errors
// mostly follow from it.
func (g *group) fail(err error) {
	if err != nil && g.err == nil {
		g.err = err
		g.cancel()
	}
}

// wait returns when every step has ended, with the first error.
func (g *group) wait(ctx workflow.Context) error {
	for g.pending > 0 {
		g.selector.Select(ctx)
	}
	g.cancel()
	return g.err
}
