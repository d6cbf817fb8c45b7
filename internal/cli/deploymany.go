package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// deploysAtOnce is how many deploys a command has under way at once. More would
// only wait for one another, at the builder and on the nodes.
const deploysAtOnce = 8

// running is the outcome of a deploy that goes on without the command.
const running workflows.Outcome = "running"

// deployInputs reads the definitions of the named services, or all that there
// are. All that is wrong with them is one error.
func (a *App) deployInputs(cfg *config.Config, targets []string, o deployOptions) ([]workflows.DeployInput, error) {
	if len(targets) == 0 {
		return a.allInputs(cfg, o)
	}
	dir, err := services(cfg)
	if err != nil {
		return nil, err
	}
	var inputs []workflows.DeployInput
	var bad []error
	named := map[string]bool{}
	for _, target := range targets {
		in, err := a.deployInput(cfg, dir, target, o)
		name := in.Definition.Name
		if err == nil && named[name] {
			err = usageError{fmt.Errorf("service %s is named twice", name)}
		}
		if err != nil {
			bad = append(bad, err)
			continue
		}
		named[name] = true
		inputs = append(inputs, in)
	}
	return inputs, together(bad)
}

// allInputs reads every definition of the services directory.
func (a *App) allInputs(cfg *config.Config, o deployOptions) ([]workflows.DeployInput, error) {
	if _, err := definitionsIn(cfg.Services, cfg.Describe()); err != nil {
		return nil, usageError{err}
	}
	byName, problems, err := definitions(cfg.Services)
	if err != nil {
		return nil, usageError{err}
	}
	var all []*servicedef.Service
	var inputs []workflows.DeployInput
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
		inputs = append(inputs, a.inputFor(cfg, byName[name], o))
	}
	var bad []error
	if len(problems) > 0 {
		bad = append(bad, usageError{problems})
	}
	if err := servicedef.Collisions(all); err != nil {
		bad = append(bad, usageError{err})
	}
	return inputs, together(bad)
}

// together makes one error of usage of several; nil if there is none.
func together(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	if len(errs) == 1 {
		return errs[0]
	}
	var lines, hints []string
	for _, err := range errs {
		_, f := classify(err)
		if !slices.Contains(lines, f.Message) {
			lines = append(lines, f.Message)
		}
		if f.Hint != "" && !slices.Contains(hints, f.Hint) {
			hints = append(hints, f.Hint)
		}
	}
	return usageError{fault.New(fault.Invalid, "%s", strings.Join(lines, "\n")).WithHint("%s", strings.Join(hints, "; "))}
}

// batch is the deploys of one command. What they say on their way is told line
// by line, each with its service's name; one builder serves them all.
type batch struct {
	app     *App
	client  client.Client
	cfg     *config.Config
	changed bool // only what a deploy would change is deployed
	width   int  // of the longest name
	console sync.Mutex

	builder    sync.Mutex
	stopBuilds func() // nil while nobody builds
}

// fate is what has become of one service of a batch.
type fate struct {
	result workflows.Result
	// code is the exit code of what kept the deploy from having a result.
	code int
	// unchanged is set where it was not deployed, for there is nothing to do.
	unchanged bool
}

// deployMany deploys several services side by side.
func (a *App) deployMany(ctx context.Context, c client.Client, cfg *config.Config, inputs []workflows.DeployInput, changed bool) error {
	f := &batch{app: a, client: c, cfg: cfg, changed: changed}
	for _, in := range inputs {
		f.width = max(f.width, len(in.Definition.Name))
	}
	list := make([]fate, len(inputs))
	var g errgroup.Group
	g.SetLimit(deploysAtOnce)
	for i, in := range inputs {
		g.Go(func() error {
			list[i] = f.deploy(ctx, in)
			return nil
		})
	}
	_ = g.Wait() // each has its own result
	if f.stopBuilds != nil {
		f.stopBuilds()
	}
	return f.show(slices.DeleteFunc(list, func(e fate) bool { return e.unchanged }))
}

// voice is the app as one service of the batch has it.
func (f *batch) voice(service string) *App {
	one := *f.app
	one.prefix = fmt.Sprintf("%-*s ", f.width, service)
	one.Stderr = &prefixed{mu: &f.console, out: f.app.Stderr, prefix: one.prefix}
	one.json = false // its result is one of a list
	return &one
}

// deploy deploys one service of the batch.
func (f *batch) deploy(ctx context.Context, in workflows.DeployInput) fate {
	service := in.Definition.Name
	one := f.voice(service)
	e := fate{result: workflows.Result{
		Service: service, WorkflowID: workflows.DeployID(service), Components: []workflows.ComponentResult{},
	}}
	unchanged, err := f.isUnchanged(ctx, one, in)
	if err == nil && unchanged {
		return fate{unchanged: true}
	}
	if err == nil {
		err = f.follow(ctx, one, in, &e.result)
	}
	if err == nil {
		return e
	}
	begun := e.result.RunID != ""
	e.result.Outcome = workflows.Failed
	if begun {
		e.result.Outcome = running
	}
	var interrupted bool
	if e.code, interrupted = asExit(err); !interrupted {
		e.code, e.result.Error = classify(err)
	} else if !begun {
		e.result.Outcome = workflows.Cancelled
		e.result.Error = fault.New(fault.Conflict, "interrupted before the deploy was begun")
	}
	return e
}

// isUnchanged reports whether a service is to be left out because a deploy would
// change nothing.
func (f *batch) isUnchanged(ctx context.Context, one *App, in workflows.DeployInput) (bool, error) {
	if ctx.Err() != nil {
		return false, exitError(exitInterrupted)
	}
	if !f.changed {
		return false, nil
	}
	in.Force = false // it is about what is deployed, not about what is to be
	var result workflows.PlanResult
	err := one.read(ctx, f.client, "plan", workflows.PlanName, in, &result)
	return err == nil && result.Plan.Unchanged(), err
}

// follow starts a deploy, or attaches to it, and follows it to its end. Once it
// runs the result says which run it is.
func (f *batch) follow(ctx context.Context, one *App, in workflows.DeployInput, result *workflows.Result) error {
	run, err := one.startDeploy(ctx, f.client, in)
	if err != nil {
		return err
	}
	result.RunID = run.GetRunID()
	if err := f.serveBuilds(ctx, one, in.Definition); err != nil {
		return err
	}
	return one.outcome(ctx, f.client, run, result)
}

// serveBuilds makes this process the builder of all, with the first that has
// something to build.
func (f *batch) serveBuilds(ctx context.Context, one *App, definition servicedef.Service) error {
	f.builder.Lock()
	defer f.builder.Unlock()
	if f.stopBuilds != nil {
		one.building = len(definition.Build.Images) > 0
		return nil
	}
	stop, err := one.serveBuilds(ctx, f.client, f.cfg, definition)
	if one.building {
		f.stopBuilds = stop
	}
	return err
}

// show shows how each deploy ended, and gives the exit code of the worst.
func (f *batch) show(list []fate) error {
	if len(list) == 0 {
		f.app.say("nothing to deploy: no definition would change anything")
	}
	results := []workflows.Result{}
	for _, e := range list {
		results = append(results, e.result)
	}
	if f.app.json {
		f.app.printJSON(results)
	}
	worst := 0
	for _, e := range list {
		one := f.voice(e.result.Service)
		one.json = f.app.json
		code, _ := asExit(one.tellResult(e.result))
		worst = max(worst, code, e.code)
	}
	if worst != 0 {
		return exitError(worst)
	}
	return nil
}
