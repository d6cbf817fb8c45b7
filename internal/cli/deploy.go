package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

type deployOptions struct {
	force    bool
	deadline time.Duration
	// all deploys every definition of the services directory, changed those of
	// them, or of the named ones, of which a deploy would change something.
	all, changed bool
}

func newDeploy(a *App) *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "deploy SERVICE[/COMPONENT]…",
		Short: "Build what is missing, and bring services to their definitions",
		Long: `Deploy brings a service, or one component of it, to its definition: it builds
and pushes the images that the image registry lacks, allocates host ports for
the routes, starts the new containers, and cuts over when all are healthy.
What fails is put back. A service with active = false is stopped.

The deploy runs in Temporal: Ctrl-C only detaches from it, and the same command
attaches again.

Several services are deployed side by side, each for itself: one that fails keeps
no other from succeeding, and the exit code is that of the worst. A mistake in a
definition is found before: then none is deployed, and with --all neither where
it is in any file of the services directory, since what such a file should have
been cannot be told. --changed leaves out what mcp plan calls unchanged. With
--json there is one object for one named service, else a list of them.`,
		Example: "  mcp deploy shop\n  mcp deploy shop/api --force\n  mcp deploy shop blog\n  mcp deploy --changed",
		Args:    args(func(_ *cobra.Command, targets []string) error { return o.check(targets) }),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.deploy(cmd.Context(), args, o) },
	}
	cmd.Flags().BoolVar(&o.force, "force", false, "replace containers that have not changed, too")
	cmd.Flags().BoolVar(&o.all, "all", false, "deploy every service of the services directory")
	cmd.Flags().BoolVar(&o.changed, "changed", false, "deploy only what a deploy would change, of the named services or of all")
	cmd.Flags().DurationVar(&o.deadline, "deadline", 0, "how long to wait for what is down (default 30m)")
	return cmd
}

// check fails where the services to deploy are not told, or told twice.
func (o deployOptions) check(targets []string) error {
	switch {
	case o.all && len(targets) > 0:
		return errors.New("--all is about every service: name none beside it")
	case len(targets) == 0 && !o.all && !o.changed:
		return errors.New("name a service, or say --all or --changed")
	}
	return nil
}

func (a *App) deploy(ctx context.Context, targets []string, o deployOptions) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	inputs, err := a.deployInputs(cfg, targets, o)
	if err != nil {
		return err
	}
	c, err := a.connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if len(targets) == 1 && !o.changed {
		return a.deployOne(ctx, c, cfg, inputs[0])
	}
	return a.deployMany(ctx, c, cfg, inputs, o.changed)
}

// deployOne deploys one service, and builds what it needs.
func (a *App) deployOne(ctx context.Context, c client.Client, cfg *config.Config, in workflows.DeployInput) error {
	run, err := a.startDeploy(ctx, c, in)
	if err != nil {
		return err
	}
	stop, err := a.serveBuilds(ctx, c, cfg, in.Definition)
	if err != nil {
		return err
	}
	defer stop()
	var result workflows.Result
	if err := a.outcome(ctx, c, run, &result); err != nil {
		return err
	}
	return a.showResult(result)
}

// perform starts a deploy that builds nothing, or attaches to it, and shows how
// it ends.
func (a *App) perform(ctx context.Context, c client.Client, in workflows.Operation) error {
	result, err := a.performed(ctx, c, in)
	if err != nil {
		return err
	}
	return a.showResult(result)
}

// performed is how a deploy ended that perform would show.
func (a *App) performed(ctx context.Context, c client.Client, in workflows.Operation) (result workflows.Result, err error) {
	run, err := a.startDeploy(ctx, c, in)
	if err != nil {
		return result, err
	}
	return result, a.outcome(ctx, c, run, &result)
}

// deployInput finds the definition and says who asks.
func (a *App) deployInput(cfg *config.Config, dir *servicedef.Dir, target string, o deployOptions) (workflows.DeployInput, error) {
	definition, part, err := definitionIn(dir, target)
	if err != nil {
		return workflows.DeployInput{}, err
	}
	in := a.inputFor(cfg, definition, o)
	if part != "" {
		if _, ok := definition.Component(part); !ok {
			return in, usageError{fmt.Errorf("service %s has no component %s: it has %s",
				definition.Name, part, strings.Join(componentNames(definition), ", "))}
		}
		in.Only = []string{part}
	}
	return in, nil
}

// inputFor asks for a deploy of a whole definition.
func (a *App) inputFor(cfg *config.Config, definition *servicedef.Service, o deployOptions) workflows.DeployInput {
	in := workflows.DeployInput{
		Verb:       workflows.VerbDeploy,
		Definition: *definition,
		Force:      o.force,
		Deadline:   cmp.Or(o.deadline, time.Duration(cfg.Deadline)),
		Builder:    cfg.Build.Builder,
	}
	in.Who, in.From = a.identity()
	return in
}

// services reads the services directory.
func services(cfg *config.Config) (*servicedef.Dir, error) {
	if cfg.Services == "" {
		return nil, noServices(cfg)
	}
	dir, err := servicedef.ReadDir(cfg.Services)
	if err != nil {
		return nil, usageOr(err)
	}
	return dir, nil
}

// definition finds the service that "SERVICE[/PART]" names in the services
// directory.
func definition(cfg *config.Config, target string) (*servicedef.Service, string, error) {
	dir, err := services(cfg)
	if err != nil {
		return nil, "", err
	}
	return definitionIn(dir, target)
}

// definitionIn finds the service that "SERVICE[/PART]" names, in a directory
// whose definitions do not collide with it.
func definitionIn(dir *servicedef.Dir, target string) (*servicedef.Service, string, error) {
	name, part, _ := strings.Cut(target, "/")
	definition, err := dir.Find(name)
	if err != nil {
		return nil, "", usageOr(err)
	}
	if err := dir.CollisionsOf(definition); err != nil {
		return nil, "", usageOr(err)
	}
	return definition, part, nil
}

// noServices is the error of a configuration without a services directory.
func noServices(cfg *config.Config) error {
	return usageError{fmt.Errorf("no services directory: set services in mcp.toml; this configuration is %s", cfg.Describe())}
}

// usageOr makes every error about a definition one of usage, and keeps what
// it is.
func usageOr(err error) error { return usageError{err} }

func componentNames(s *servicedef.Service) []string {
	var names []string
	for _, c := range s.Components {
		names = append(names, c.Name)
	}
	return names
}

// startDeploy starts the workflow, or attaches to the one that runs. A deploy
// that has succeeded and only retires its predecessors is waited for.
func (a *App) startDeploy(ctx context.Context, c client.Client, in workflows.Operation) (client.WorkflowRun, error) {
	service := in.ServiceName()
	a.forget()
	for {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID:                                       workflows.DeployID(service),
			TaskQueue:                                workflows.Queue,
			WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
			WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			WorkflowExecutionErrorWhenAlreadyStarted: true,
			StaticSummary:                            in.Summary(),
			StaticDetails:                            in.Details(),
			Memo:                                     in.Memo(),
			TypedSearchAttributes:                    in.Attributes(),
		}, in.Workflow(), in)
		var running *serviceerror.WorkflowExecutionAlreadyStarted
		if err == nil {
			return run, nil
		}
		if !errors.As(err, &running) {
			return nil, temporalFault(err)
		}
		run, err = a.attach(ctx, c, in)
		if run != nil || err != nil {
			return run, err
		}
	}
}

// attach joins the deploy that holds the lock if it is the same one. It
// returns nothing when that deploy was only retiring, and has ended now; of an
// undeploy, to retire is what is asked for.
func (a *App) attach(ctx context.Context, c client.Client, in workflows.Operation) (client.WorkflowRun, error) {
	service := in.ServiceName()
	id := workflows.DeployID(service)
	described, err := c.DescribeWorkflow(ctx, id, "")
	if err != nil {
		return nil, temporalFault(err)
	}
	if described.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, nil
	}
	memo := func(key string) string {
		value := ""
		if payload, ok := described.Memo.GetFields()[key]; ok {
			_ = a.converter().FromPayload(payload, &value) // a strange memo reads as none
		}
		return value
	}
	run := c.GetWorkflow(ctx, id, described.WorkflowExecution.RunID)
	theirs, err := a.inputOf(ctx, c, run)
	if err != nil {
		return nil, temporalFault(err)
	}
	same := theirs.Hash() == in.Hash()
	undeploying := same && in.Removes()
	if memo(workflows.MemoPhase) == workflows.PhaseRetiring && !undeploying {
		a.say("%s was %s a moment ago; waiting until its former containers are gone", service, theirs.Participle())
		_ = run.Get(ctx, nil) // how it ends is its own caller's to hear
		if ctx.Err() != nil {
			return nil, exitError(exitInterrupted)
		}
		return nil, nil
	}
	if same {
		a.say("attached to the %s of %s that %s started %s ago", in.Word(), service, memo(workflows.MemoWho), time.Since(described.WorkflowStartTime).Round(time.Second))
		if ours, holds := in.Timeout(), theirs.Timeout(); ours != holds {
			a.say("its own deadline of %s holds, not %s", holds, ours)
		}
		return run, nil
	}
	return nil, fault.New(fault.Conflict, "%s is being %s%s, by %s since %s",
		service, theirs.Participle(), difference(theirs, in), memo(workflows.MemoWho), described.WorkflowStartTime.Local().Format(time.TimeOnly)).
		WithHint("wait until it ends and %s again, or cancel it: mcp cancel %s", in.Word(), service)
}

// difference describes how two operations on a service differ, where the verb does
// not.
func difference(theirs, ours workflows.Operation) string {
	one, ok := theirs.(workflows.DeployInput)
	other, both := ours.(workflows.DeployInput)
	switch {
	case !ok || !both || one.Participle() != other.Participle():
		return ""
	case one.Definition.Hash() == other.Definition.Hash():
		return " with other options"
	}
	return " with another definition"
}

// inputOf reads from the history what a running operation was asked to do.
func (a *App) inputOf(ctx context.Context, c client.Client, run client.WorkflowRun) (workflows.Operation, error) {
	events := c.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	if err != nil {
		return nil, err
	}
	started := first.GetWorkflowExecutionStartedEventAttributes()
	return workflows.OperationOf(started.GetWorkflowType().GetName(), func(into any) error {
		return a.converter().FromPayloads(started.GetInput(), into)
	})
}
