package call

import "go.temporal.io/sdk/workflow"

// Group runs steps side by side.
type Group struct {
	cancel   workflow.CancelFunc
	ctx      workflow.Context
	selector workflow.Selector
	pending  int
	err      error
}

// NewGroup makes a group whose steps are cancelled when one fails. They must be started
// with the group's own context.
func NewGroup(ctx workflow.Context) *Group {
	g := &Group{selector: workflow.NewSelector(ctx)}
	g.ctx, g.cancel = workflow.WithCancel(ctx)
	return g
}

// NewPatientGroup makes a group whose steps all go on to their ends, whichever fails.
func NewPatientGroup(ctx workflow.Context) *Group {
	return &Group{selector: workflow.NewSelector(ctx), ctx: ctx, cancel: func() {}}
}

// Context returns the context with which the steps of the group are started.
func (g *Group) Context() workflow.Context { return g.ctx }

// Add handles a future when it is ready. Handlers run one at a time.
func (g *Group) Add(future workflow.Future, handle func(workflow.Future) error) {
	g.pending++
	g.selector.AddFuture(future, func(f workflow.Future) {
		g.pending--
		g.fail(handle(f))
	})
}

// Go runs a function of several steps in a coroutine.
func (g *Group) Go(run func(ctx workflow.Context) error) {
	future, settable := workflow.NewFuture(g.ctx)
	workflow.Go(g.ctx, func(ctx workflow.Context) { settable.Set(nil, run(ctx)) })
	g.Add(future, func(f workflow.Future) error { return f.Get(g.ctx, nil) })
}

// fail keeps the first error, and cancels the steps that still run: their errors
// mostly follow from it.
func (g *Group) fail(err error) {
	if err != nil && g.err == nil {
		g.err = err
		g.cancel()
	}
}

// Cancel cancels the steps that still run.
func (g *Group) Cancel() { g.cancel() }

// Wait returns when every step has ended, with the first error.
func (g *Group) Wait(ctx workflow.Context) error {
	for g.pending > 0 {
		g.selector.Select(ctx)
	}
	g.cancel()
	return g.err
}
