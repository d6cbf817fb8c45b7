package change

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

type buildOptions struct {
	force    bool
	deadline time.Duration
	sourceOptions
}

func newBuild(s *session.Session) *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build SERVICE[/IMAGE]",
		Short: "Build and push the images that the image registry lacks",
		Long: `Build builds and pushes the images of a service, or one of them, that its
definition can build and that the image registry lacks. It changes no node: the
next deploy finds the images in the registry. Where this machine's configuration
has [build] workspace the build runs here, otherwise on the builder that it
names. --progress plain shows its output, and mcp build log shows it later.`,
		Example: "  mcp build shop\n  mcp build shop/shop-api --force --no-cache --progress plain",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return exit.Usage(err)
			}
			return runBuild(cmd.Context(), s, args[0], o)
		},
	}
	cmd.AddCommand(newBuildLog(s), newBuildSign(s))
	sourceFlags(cmd, &o.sourceOptions)
	cmd.Flags().BoolVar(&o.force, "force", false, "also build and push images that the image registry has")
	deadlineFlag(cmd, &o.deadline)
	return cmd
}

func runBuild(ctx context.Context, s *session.Session, target string, o buildOptions) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	in, err := buildInput(s, cfg, target, o)
	if err != nil {
		return err
	}
	if in.Definition, err = s.Resolve(ctx, cfg, in.Definition, o.dirty); err != nil {
		return err
	}
	c, err := s.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	shown := showBuilds(ctx, s, c, cfg, o.sourceOptions, in.Definition)
	defer shown.stop()
	service := in.Definition.Name
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.BuildID(service),
		TaskQueue:                                workflows.Queue,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("build %s for %s", target, in.Who),
		TypedSearchAttributes:                    temporal.NewSearchAttributes(workflows.SearchService.ValueSet(service)),
	}, workflows.BuildName, in)
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &running):
		if run, err = attachBuild(ctx, s, c, running.RunId, in); err != nil {
			return err
		}
	case err != nil:
		return exit.Temporal(err)
	}
	builder, follower := s.Builder(c, cfg), s.Follow(c)
	builder.Output = shown.writer()
	shown.start()
	if follower.Builds, err = builder.Serve(ctx, in.Definition); err != nil {
		return err
	}
	defer builder.Stop()
	var result workflows.BuildResult
	if err := follower.Run(ctx, run, &result); err != nil {
		return err
	}
	return showBuild(s, result)
}

// attachBuild returns the build that is under way if it is the same one. The build
// waits if the command that started it was its builder and has ended.
func attachBuild(ctx context.Context, s *session.Session, c client.Client, runID string, in workflows.BuildInput) (client.WorkflowRun, error) {
	run := c.GetWorkflow(ctx, workflows.BuildID(in.Definition.Name), runID)
	first, err := c.GetWorkflowHistory(ctx, run.GetID(), runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).Next()
	if err != nil {
		return nil, exit.Temporal(err)
	}
	var theirs workflows.BuildInput
	payloads := first.GetWorkflowExecutionStartedEventAttributes().GetInput()
	if err := converter.GetDefaultDataConverter().FromPayloads(payloads, &theirs); err != nil {
		return nil, fmt.Errorf("read the build that is under way: %w", err)
	}
	if theirs.Hash() != in.Hash() {
		return nil, fault.New(fault.Conflict, "%s is being built already, with another definition or other options", in.Definition.Name).
			WithHint("wait until workflow %s ends", run.GetID())
	}
	s.Say("attached to the build of %s that %s started", in.Definition.Name, theirs.Who)
	return run, nil
}

// buildInput reads the definition, and checks that it can build the image.
func buildInput(s *session.Session, cfg *config.Config, target string, o buildOptions) (workflows.BuildInput, error) {
	definition, image, err := session.Definition(cfg, target)
	if err != nil {
		return workflows.BuildInput{}, err
	}
	in := workflows.BuildInput{
		Definition: *definition, Force: o.force, NoCache: o.noCache, Deadline: o.deadline, Builder: cfg.Build.Builder,
	}
	in.Deadline = cmp.Or(in.Deadline, time.Duration(cfg.Deadline))
	in.Who, in.From = s.Identity()
	names := session.ImageNames(definition)
	switch {
	case len(names) == 0:
		return in, exit.Usage(fmt.Errorf("%s has no [build.images]: there is nothing to build", definition.File))
	case image != "" && !slices.Contains(names, image):
		return in, exit.Usage(fmt.Errorf("%s has no [build.images] entry for %s: it has %s", definition.File, image, strings.Join(names, ", ")))
	case image != "":
		in.Images = []string{image}
	}
	return in, nil
}

// showBuild shows how a build ended, and returns its exit code.
func showBuild(s *session.Session, r workflows.BuildResult) error {
	if s.JSON {
		s.PrintJSON(r)
	} else {
		_, _ = fmt.Fprintf(s.Stdout, "%s: %s, %s\n", r.Service, r.Outcome, time.Duration(r.ElapsedMS)*time.Millisecond)
		for _, image := range r.Images {
			_, _ = fmt.Fprintf(s.Stdout, "  %s  %s  %s\n", image.Image, imageWord(image), image.Digest)
		}
	}
	if r.Error != nil {
		s.Fault(r.Error)
		return exit.Failed
	}
	return nil
}

// imageWord returns what became of an image, in a word.
func imageWord(image workflows.ImageResult) string {
	switch {
	case image.Pushed:
		return "built and pushed"
	case image.Built:
		return "built, and not pushed"
	case image.Digest != "":
		return "exists"
	}
	return "not built"
}
