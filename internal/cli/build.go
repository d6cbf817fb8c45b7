package cli

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
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

type buildOptions struct {
	force    bool
	deadline time.Duration
}

func newBuild(a *App) *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build SERVICE[/IMAGE]",
		Short: "Build and push the images that the image registry lacks",
		Long: `Build builds and pushes the images of a service, or one of them, that its
definition says how to make and that the image registry lacks. It touches no
node: the next deploy finds the images there. Where this machine's configuration
has [build] workspace the build runs here, otherwise on the builder that it
names.`,
		Example: "  mcp build shop\n  mcp build shop/shop-api --force",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.build(cmd.Context(), args[0], o) },
	}
	cmd.Flags().BoolVar(&o.force, "force", false, "build and push what the image registry has already, too")
	cmd.Flags().DurationVar(&o.deadline, "deadline", 0, "how long to wait for what is down (default 30m)")
	return cmd
}

func (a *App) build(ctx context.Context, target string, o buildOptions) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	in, err := a.buildInput(cfg, target, o)
	if err != nil {
		return err
	}
	c, err := a.connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
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
	if errors.As(err, &running) {
		return fault.New(fault.Conflict, "%s is being built already", service).
			WithHint("wait until workflow %s ends", workflows.BuildID(service))
	}
	if err != nil {
		return temporalFault(err)
	}
	stop, err := a.serveBuilds(ctx, c, cfg, in.Definition)
	if err != nil {
		return err
	}
	defer stop()
	var result workflows.BuildResult
	if err := a.outcome(ctx, c, run, &result); err != nil {
		return err
	}
	return a.showBuild(result)
}

// buildInput reads the definition, and checks that it can build the image.
func (a *App) buildInput(cfg *config.Config, target string, o buildOptions) (workflows.BuildInput, error) {
	definition, image, err := definition(cfg, target)
	if err != nil {
		return workflows.BuildInput{}, err
	}
	in := workflows.BuildInput{
		Definition: *definition, Force: o.force, Deadline: o.deadline, Builder: cfg.Build.Builder,
	}
	in.Deadline = cmp.Or(in.Deadline, time.Duration(cfg.Deadline))
	in.Who, in.From = a.identity()
	names := imageNames(definition)
	switch {
	case len(names) == 0:
		return in, usageError{fmt.Errorf("%s has no [build.images]: there is nothing to build", definition.File)}
	case image != "" && !slices.Contains(names, image):
		return in, usageError{fmt.Errorf("%s does not say how to build %s: it has %s", definition.File, image, strings.Join(names, ", "))}
	case image != "":
		in.Images = []string{image}
	}
	return in, nil
}

// imageNames are the images that a definition can build, in order.
func imageNames(s *servicedef.Service) []string {
	var names []string
	for name := range s.Build.Images {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// showBuild shows how a build ended, and gives its exit code.
func (a *App) showBuild(r workflows.BuildResult) error {
	if a.json {
		a.printJSON(r)
	} else {
		_, _ = fmt.Fprintf(a.Stdout, "%s: %s, %s\n", r.Service, r.Outcome, time.Duration(r.ElapsedMS)*time.Millisecond)
		for _, image := range r.Images {
			word := "exists"
			if image.Pushed {
				word = "built and pushed"
			} else if image.Digest == "" {
				word = "not built"
			}
			_, _ = fmt.Fprintf(a.Stdout, "  %s  %s  %s\n", image.Image, word, image.Digest)
		}
	}
	if r.Error != nil {
		writeFault(a.Stderr, r.Error)
		return exitError(exitFailed)
	}
	return nil
}
