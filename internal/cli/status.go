package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/workflows"
)

// serviceStatus is one entry of mcp status --json.
type serviceStatus struct {
	Service   string `json:"service"`
	Node      string `json:"node"`
	Active    bool   `json:"active"`
	Release   int    `json:"release"`
	Deploying int    `json:"deploying"`
	Dirty     bool   `json:"dirty"`
	// Pending is set when the definition has changed since the release.
	Pending    bool              `json:"pending"`
	Components []componentStatus `json:"components"`
}

type componentStatus struct {
	Name          string        `json:"name"`
	Container     string        `json:"container"`
	Node          string        `json:"node"`
	Image         string        `json:"image"`
	Digest        string        `json:"digest"`
	DesiredState  string        `json:"desired_state"`
	ObservedState string        `json:"observed_state"`
	Health        string        `json:"health"`
	Started       time.Time     `json:"started,omitzero"`
	UptimeSeconds int64         `json:"uptime_seconds"`
	Restarts      int           `json:"restarts"`
	Routes        []fleet.Route `json:"routes"`
	Drift         []string      `json:"drift"`
}

func newStatus(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "status [SERVICE…]",
		Short: "Show what should run, and what does",
		Long: `Status compares what should run, by the release of each service, with what its
nodes say at this moment. DRIFT names how a component differs: missing, stopped,
running, renamed, wrong-image, replaced, flapping, unhealthy or, where its node
does not answer, unreachable. A service is "pending" when its definition has
changed since its release, and "dirty" when a deploy could not put everything
back.`,
		Example: "  mcp status\n  mcp status shop --json | jq '.[0].components[].drift'",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.status(cmd.Context(), args) },
	}
}

func (a *App) status(ctx context.Context, names []string) error {
	var result workflows.StatusResult
	err := a.query(ctx, "status", workflows.StatusName, workflows.StatusInput{Services: names}, &result)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(result.Services, func(s fleet.ServiceRecord) bool { return s.Release.Service == name }) {
			return neverDeployed(name)
		}
	}
	list := statuses(result)
	if a.json {
		a.printJSON(list)
		return nil
	}
	a.writeStatus(list)
	return nil
}

// query connects and runs one read.
func (a *App) query(ctx context.Context, verb, workflow string, in, out any) error {
	_, c, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return a.read(ctx, c, verb, workflow, in, out)
}

// statuses are those of all services.
func statuses(r workflows.StatusResult) []serviceStatus {
	nodes := map[string]seenNode{}
	for name, node := range r.Nodes {
		nodes[name] = seeNode(node, fleet.Releases(r.Services))
	}
	list := make([]serviceStatus, 0, len(r.Services))
	for _, s := range r.Services {
		list = append(list, statusOf(s, nodes))
	}
	return list
}

// seenNode is what a node has said, read once for all services.
type seenNode struct {
	silent     bool
	containers []fleet.Container
}

func seeNode(node workflows.NodeContainers, services []fleet.Release) seenNode {
	return seenNode{silent: node.Error != nil, containers: seen(node, services...)}
}

// statusOf compares what the registry has of a service with what its nodes do.
func statusOf(s fleet.ServiceRecord, nodes map[string]seenNode) serviceStatus {
	r := s.Release
	status := serviceStatus{
		Service: r.Service, Active: r.Active, Release: r.Number, Deploying: s.Deploying, Dirty: r.Dirty, Pending: s.Pending,
		Components: []componentStatus{},
	}
	if r.Definition != nil {
		status.Node = r.Definition.Node
	}
	for _, m := range r.Members() {
		status.Components = append(status.Components, componentOf(r, m, nodes[m.Node]))
	}
	return status
}

func componentOf(r fleet.Release, m fleet.Member, node seenNode) componentStatus {
	c := componentStatus{
		Name: m.Component, Container: m.Container, Node: m.Node, Image: m.Image, Digest: m.Digest,
		DesiredState: "running", ObservedState: "missing", Routes: m.Routes, Drift: []string{},
	}
	if c.Routes == nil {
		c.Routes = []fleet.Route{}
	}
	if !m.Active {
		c.DesiredState = "stopped"
	}
	if node.silent {
		c.ObservedState, c.Drift = "unknown", []string{string(fleet.DriftUnreachable)}
		return c
	}
	found := fleet.FindMember(r.Service, m, node.containers)
	if found != nil {
		c.ObservedState, c.Health, c.Restarts = found.State, found.Health, found.Restarts
		if found.Running {
			c.Started, c.UptimeSeconds = found.Started, found.UptimeSeconds
		}
	}
	for _, d := range watch.MemberDrift(r.Service, m, found) {
		c.Drift = append(c.Drift, string(d.Kind))
	}
	return c
}

// seen are the containers of a node, those that the services have adopted among
// theirs.
func seen(node workflows.NodeContainers, services ...fleet.Release) []fleet.Container {
	return fleet.Recognise(node.Node, node.Containers, services...)
}

// writeStatus shows the list to a person.
func (a *App) writeStatus(list []serviceStatus) {
	if len(list) == 0 {
		_, _ = fmt.Fprintln(a.Stdout, "no service has been deployed yet")
		return
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SERVICE\tRELEASE\tCOMPONENT\tNODE\tSTATE\tUPTIME\tROUTES\tDRIFT")
	for _, s := range list {
		name := s.Service
		if s.Dirty {
			name += " (dirty)"
		}
		release := releaseText(s)
		if len(s.Components) == 0 {
			_, _ = fmt.Fprintf(table, "%s\t%s\t-\t%s\t%s\t\t\t\n", name, release, s.Node, stateWithout(s))
		}
		for _, c := range s.Components {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, release, c.Name, c.Node,
				c.ObservedState, uptime(c.ObservedState, c.UptimeSeconds), routeList(c.Routes), strings.Join(c.Drift, ","))
		}
	}
	_ = table.Flush()
}

// stateWithout says why a service has no components.
func stateWithout(s serviceStatus) string {
	if s.Release != 0 {
		return "undeployed"
	}
	return "-"
}

// releaseText says which release runs, and which deployment is under way.
func releaseText(s serviceStatus) string {
	text := "never released"
	if s.Release != 0 {
		text = strconv.Itoa(s.Release)
	}
	if s.Pending && s.Release != 0 {
		text += " (pending)"
	}
	if s.Deploying != 0 {
		text += fmt.Sprintf(" (deploying %d)", s.Deploying)
	}
	return text
}

// uptime renders seconds as an operator reads them; "" for what does not run.
func uptime(state string, seconds int64) string {
	if state != string(runtime.Running) {
		return ""
	}
	return (time.Duration(seconds) * time.Second).String()
}

// routeList renders routes: "rest:8443→23456".
func routeList(routes []fleet.Route) string {
	var list []string
	for _, r := range routes {
		list = append(list, fmt.Sprintf("%s:%d→%d", r.Name, r.Port, r.HostPort))
	}
	return strings.Join(list, " ")
}
