package change

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

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

func newUndeploy(s *session.Session) *cobra.Command {
	var yes bool
	var deadline time.Duration
	cmd := &cobra.Command{
		Use:   "undeploy SERVICE",
		Short: "Stop and remove a service's containers, and keep its data and history",
		Long: `Undeploy stops and removes the containers of a service on every node, and
releases its ports. Named volumes and the history stay: mcp rollback brings the
last release back, and mcp deploy the definition. Undeploy itself needs none.
It returns when the containers are gone; those on a node that does not answer are
removed when it is back.

It asks for confirmation; without a terminal it requires -y.`,
		Example: "  mcp undeploy shop\n  mcp undeploy shop -y --json",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUndeploy(cmd.Context(), s, args[0], yes, deadline)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	deadlineFlag(cmd, &deadline)
	return cmd
}

func runUndeploy(ctx context.Context, s *session.Session, service string, yes bool, deadline time.Duration) error {
	cfg, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if !yes { // the containers are read only to be shown
		found, err := containersByNode(ctx, s, c, service)
		if err != nil {
			return err
		}
		if err := s.Confirm(ctx, "undeploy "+service, found, yes); err != nil {
			return err
		}
	}
	in := workflows.DeployInput{
		Verb:       fleet.VerbUndeploy,
		Definition: servicedef.Service{Name: service},
		Deadline:   cmp.Or(deadline, time.Duration(cfg.Deadline)),
	}
	in.Who, in.From = s.Identity()
	return perform(ctx, s, c, in, true)
}

// containersByNode lists the containers of a service, a line for each node. A service
// that has never been deployed is an error.
func containersByNode(ctx context.Context, s *session.Session, c client.Client, service string) ([]string, error) {
	var known reads.StatusResult
	in := reads.StatusInput{Services: []string{service}}
	if err := s.Read(ctx, c, "status", reads.StatusName, in, &known); err != nil {
		return nil, err
	}
	if len(known.Services) == 0 {
		return nil, session.NeverDeployed(service)
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

// containersOf names the containers of a service on a node; on one that does not
// answer, those that should be there.
func containersOf(release fleet.Release, node reads.NodeContainers) []string {
	var names []string
	for _, found := range fleet.Recognise(node.Node, node.Containers, release) {
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
