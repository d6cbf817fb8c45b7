package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func newUndeploy(a *App) *cobra.Command {
	var yes bool
	var deadline time.Duration
	cmd := &cobra.Command{
		Use:   "undeploy SERVICE",
		Short: "Stop and remove a service's containers, and keep its data and history",
		Long: `Undeploy stops and removes the containers of a service on every node, and
releases its ports. Named volumes and the history stay: mcp rollback brings the
last release back, and mcp deploy the definition. Undeploy itself needs none.
What is on a node that does not answer goes when that node is back.

It asks first; without a terminal, -y must say that it may.`,
		Example: "  mcp undeploy shop\n  mcp undeploy shop -y --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.undeploy(cmd.Context(), args[0], yes, deadline)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().DurationVar(&deadline, "deadline", 0, "how long to wait for what is down (default 30m)")
	return cmd
}

func (a *App) undeploy(ctx context.Context, service string, yes bool, deadline time.Duration) error {
	cfg, c, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if !yes { // what there is is read only to be shown
		found, err := a.deployed(ctx, c, service)
		if err != nil {
			return err
		}
		if err := a.confirm(ctx, "undeploy "+service, found, yes); err != nil {
			return err
		}
	}
	in := workflows.DeployInput{
		Verb:       workflows.VerbUndeploy,
		Definition: servicedef.Service{Name: service},
		Deadline:   cmp.Or(deadline, time.Duration(cfg.Deadline)),
	}
	in.Who, in.From = a.identity()
	return a.perform(ctx, c, in)
}

// deployed says what there is of a service: its containers, a line for each
// node. A service that nobody has deployed is an error.
func (a *App) deployed(ctx context.Context, c client.Client, service string) ([]string, error) {
	var known workflows.StatusResult
	in := workflows.StatusInput{Services: []string{service}}
	if err := a.read(ctx, c, "status", workflows.StatusName, in, &known); err != nil {
		return nil, err
	}
	if len(known.Services) == 0 {
		return nil, neverDeployed(service)
	}
	var lines []string
	for name, node := range known.Nodes {
		if names := containersOf(known.Services[0].Release, node); len(names) > 0 {
			lines = append(lines, fmt.Sprintf("%s on %s", strings.Join(names, ", "), name))
		}
	}
	sort.Strings(lines)
	return lines, nil
}

// containersOf names the containers that a service has on a node; of a node
// that does not answer, those that it should have.
func containersOf(release fleet.Release, node workflows.NodeContainers) []string {
	var names []string
	for _, found := range seen(node, release) {
		if found.Service == release.Service {
			names = append(names, found.Name)
		}
	}
	for _, m := range release.Members() {
		if node.Error != nil && m.Node == node.Node {
			names = append(names, m.Container+" (when the node is back)")
		}
	}
	slices.Sort(names)
	return names
}
