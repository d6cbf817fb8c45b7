package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/tend"
)

// drained is mcp node drain --json, and mcp node activate --json.
type drained struct {
	Node     string `json:"node"`
	Draining bool   `json:"draining"`
	// Services are those that have components on the node.
	Services []fleet.ServiceOn `json:"services"`
}

// removed is mcp node remove --json.
type removed struct {
	Node    string `json:"node"`
	Removed bool   `json:"removed"`
	// Answered is whether its worker answered the last observation.
	Answered bool `json:"answered"`
}

func newDrain(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "drain NODE",
		Short: "Keep new containers off a node",
		Long: `Drain keeps new containers off a node until mcp node activate. The containers on
it keep running. A deploy that would start a container there is refused before it
changes anything; one that changes nothing there, that stops or removes
containers, or that moves them to another node, works as before.

It lists the services that still have components there.`,
		Example: "  mcp node drain rift",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return runDrain(cmd.Context(), s, names[0], true) },
	}
}

func newActivate(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use: "activate NODE", Short: "Allow new containers on a draining node again", Args: session.Args(cobra.ExactArgs(1)),
		Example: "  mcp node activate rift",
		RunE:    func(cmd *cobra.Command, names []string) error { return runDrain(cmd.Context(), s, names[0], false) },
	}
}

func newRemove(s *session.Session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Remove the record of a node without components",
		Long: `Remove deletes the record of a node, which is no longer observed. Its events and
the record of its deployments stay. It is refused while a component should run
there: undeploy its services, or deploy them to another node. A service that is
dirty because of the node is clean after its next deploy. The name may also be one
that only a definition ever named.

The name is then free for another machine. Stop the node's worker first: while it
runs it keeps the name, and it announces the node again when it next starts.

It asks for confirmation; without a terminal it requires -y.`,
		Example: "  mcp node remove rift\n  mcp node remove rift -y --json",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return runRemove(cmd.Context(), s, names[0], yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func runDrain(ctx context.Context, s *session.Session, name string, draining bool) error {
	if _, err := readNodes(ctx, s, []string{name}); err != nil {
		return err
	}
	verb := "activate"
	if draining {
		verb = "drain"
	}
	var result tend.DrainResult
	in := tend.DrainInput{Node: name, Draining: draining}
	if err := changeNode(ctx, s, name, verb, tend.DrainNodeName, in, &result); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(drained{Node: name, Draining: draining, Services: append([]fleet.ServiceOn{}, result.Services...)})
		return nil
	}
	if !draining {
		_, _ = fmt.Fprintf(s.Stdout, "%s: active\n", name)
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: draining, %s\n", name, stillThere(result.Services))
	for _, on := range result.Services {
		_, _ = fmt.Fprintf(s.Stdout, "  %s  %s\n", on.Service, strings.Join(on.Components, ", "))
	}
	return nil
}

// stillThere introduces the services that have components on a node.
func stillThere(services []fleet.ServiceOn) string {
	if len(services) == 0 {
		return "without components"
	}
	return "with components of"
}

func runRemove(ctx context.Context, s *session.Session, name string, yes bool) error {
	all, err := readNodes(ctx, s, nil)
	if err != nil {
		return err
	}
	loss, answered := fmt.Sprintf("the record of %s, of which no worker was ever seen", name), false
	known := slices.IndexFunc(all, func(n fleet.NodeState) bool { return n.Name == name })
	if known >= 0 {
		loss = fmt.Sprintf("the record of %s, last seen %s, except its events", name, ui.Moment(all[known].Answered))
		answered = all[known].State == fleet.NodeReady
	}
	if err := s.Confirm(ctx, "node remove "+name, []string{loss}, yes); err != nil {
		return err
	}
	var result tend.RemoveResult
	if err := changeNode(ctx, s, name, "remove", tend.RemoveNodeName, name, &result); err != nil {
		return err
	}
	if known < 0 && !result.Named {
		return unknownNode(name, all)
	}
	if s.JSON {
		s.PrintJSON(removed{Node: name, Removed: true, Answered: answered})
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: removed\n", name)
	if answered {
		s.Say("if its worker still runs, stop it: it keeps the name, and announces %s again when it next starts", name)
	}
	return nil
}

// changeNode runs a workflow that changes the record of a node.
func changeNode(ctx context.Context, s *session.Session, name, verb, workflow string, in, out any) error {
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	s.Forget()
	return s.Read(ctx, c, "node", workflow, in, out, session.ChangingNode(name, verb))
}
