package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
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
	// Answered is whether its worker still ran a moment ago.
	Answered bool `json:"answered"`
}

func newNodeDrain(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "drain NODE",
		Short: "Let a node get no new container",
		Long: `Drain keeps new containers from a node, until mcp node activate. What runs there
runs on. A deploy that would start a container there is refused before it has
touched anything; one that changes nothing there, that stops or removes what is
there, or that moves it to another node, works as ever.

It says which services still have components there.`,
		Example: "  mcp node drain rift",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return a.nodeDrain(cmd.Context(), names[0], true) },
	}
}

func newNodeActivate(a *App) *cobra.Command {
	return &cobra.Command{
		Use: "activate NODE", Short: "Let a node that was draining get new containers again", Args: args(cobra.ExactArgs(1)),
		Example: "  mcp node activate rift",
		RunE:    func(cmd *cobra.Command, names []string) error { return a.nodeDrain(cmd.Context(), names[0], false) },
	}
}

func newNodeRemove(a *App) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Forget a node that nothing should run on",
		Long: `Remove forgets a node, and looks at it no more. Its events, and what deployments
say of it, stay. It is refused while a component should be there: undeploy its
services, or deploy them to another node.

The name is then free for another machine. Stop the node's worker first: it goes
on serving, so that no other machine gets the name, and announces the node again
when it next starts.

It asks first; without a terminal, -y must say that it may.`,
		Example: "  mcp node remove rift\n  mcp node remove rift -y --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return a.nodeRemove(cmd.Context(), names[0], yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *App) nodeDrain(ctx context.Context, name string, draining bool) error {
	if _, err := a.nodes(ctx, []string{name}); err != nil {
		return err
	}
	verb := "activate"
	if draining {
		verb = "drain"
	}
	var result workflows.DrainResult
	in := workflows.DrainInput{Node: name, Draining: draining}
	if err := a.changeNode(ctx, name, verb, workflows.DrainNodeName, in, &result); err != nil {
		return err
	}
	if a.json {
		a.printJSON(drained{Node: name, Draining: draining, Services: append([]fleet.ServiceOn{}, result.Services...)})
		return nil
	}
	if !draining {
		_, _ = fmt.Fprintf(a.Stdout, "%s: active\n", name)
		return nil
	}
	_, _ = fmt.Fprintf(a.Stdout, "%s: draining, %s\n", name, stillThere(result.Services))
	for _, s := range result.Services {
		_, _ = fmt.Fprintf(a.Stdout, "  %s  %s\n", s.Service, strings.Join(s.Components, ", "))
	}
	return nil
}

// stillThere introduces the services that have components on a node.
func stillThere(services []fleet.ServiceOn) string {
	if len(services) == 0 {
		return "and nothing should run there"
	}
	return "and still to run"
}

func (a *App) nodeRemove(ctx context.Context, name string, yes bool) error {
	found, err := a.nodes(ctx, []string{name})
	if err != nil {
		return err
	}
	loss := fmt.Sprintf("all that is known of %s, last seen %s, but for its events", name, moment(found[0].Answered))
	if err := a.confirm(ctx, "node remove "+name, []string{loss}, yes); err != nil {
		return err
	}
	if err := a.changeNode(ctx, name, "remove", workflows.RemoveNodeName, name, nil); err != nil {
		return err
	}
	answered := found[0].State == fleet.NodeReady
	if a.json {
		a.printJSON(removed{Node: name, Removed: true, Answered: answered})
		return nil
	}
	_, _ = fmt.Fprintf(a.Stdout, "%s: removed\n", name)
	if answered {
		a.say("if its worker still runs, stop it: it serves on, and announces %s again when it next starts", name)
	}
	return nil
}

// changeNode runs a workflow that changes what is known of a node.
func (a *App) changeNode(ctx context.Context, name, verb, workflow string, in, out any) error {
	_, c, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	a.forget()
	return a.ask(ctx, c, client.StartWorkflowOptions{
		ID:                    workflows.NodeChangeID(name, verb, nonce()),
		StaticSummary:         "mcp node " + verb + " " + name,
		TypedSearchAttributes: temporal.NewSearchAttributes(workflows.SearchNode.ValueSet([]string{name})),
	}, workflow, in, out)
}
