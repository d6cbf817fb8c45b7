package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// listedNode is one entry of mcp node list --json.
type listedNode struct {
	Name string `json:"name"`
	// State is "unknown" before the first look.
	State string `json:"state"`
	// Draining says that it gets no new container.
	Draining bool `json:"draining"`
	// Since is when it came to be ready or unreachable.
	Since time.Time `json:"since,omitzero"`
	// Announced is when its worker started.
	Announced time.Time `json:"announced"`
	Address   string    `json:"address"`
	Runtime   string    `json:"runtime"`
	MCP       string    `json:"mcp"`
}

// nodeState is the state of a node when it last answered.
type nodeState struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Draining bool      `json:"draining"`
	Since    time.Time `json:"since,omitzero"`
	Seen     time.Time `json:"seen,omitzero"`
}

// nodeStatus is one entry of mcp node status --json.
type nodeStatus struct {
	nodeState
	fleet.NodeFigures
}

// shownNode is mcp node show --json.
type shownNode struct {
	nodeState
	fleet.NodeStatus
	Address   string            `json:"address"`
	Announced time.Time         `json:"announced"`
	Drift     []fleet.OpenDrift `json:"drift"`
	History   fleet.NodeHistory `json:"history"`
}

func newNode(a *App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "node", Short: "List the nodes, and say which of them get containers",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the nodes of the fleet", Args: args(cobra.NoArgs),
			Long: `List shows each node that a worker has announced: whether it answers, and since
when; where its routes are published; which podman and which mcp it has.`,
			Example: "  mcp node list\n  mcp node list --json | jq -r '.[].name'",
			RunE:    func(cmd *cobra.Command, _ []string) error { return a.nodeList(cmd.Context()) },
		},
		&cobra.Command{
			Use: "status [NODE]", Short: "Show how busy and how full the nodes are", Args: args(cobra.MaximumNArgs(1)),
			Long: `Status shows how each node was when it last answered: its load, memory and disk,
and how many containers it has.`,
			Example: "  mcp node status\n  mcp node status rift",
			RunE:    func(cmd *cobra.Command, names []string) error { return a.nodeStatus(cmd.Context(), names) },
		},
		newNodeShow(a), newNodeDrain(a), newNodeActivate(a), newNodeRemove(a),
	)
	return cmd
}

func newNodeShow(a *App) *cobra.Command {
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "show NODE",
		Short: "Show all that is known of a node",
		Long: `Show tells how a node was when it last answered, and how it has been before:
the lowest, the mean and the highest of its figures. Each look is kept for 48
hours, and what each hour comes to for 30 days.`,
		Example: "  mcp node show rift\n  mcp node show rift --since 48h",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if since <= 0 {
				return usageError{fmt.Errorf("--since is a time that has passed, such as 1h, not %s", since)}
			}
			return a.nodeShow(cmd.Context(), names, since)
		},
	}
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back to look at its figures")
	return cmd
}

// nodes reads the named nodes, or all if there are no names.
func (a *App) nodes(ctx context.Context, names []string) ([]fleet.NodeState, error) {
	var all []fleet.NodeState
	if err := a.query(ctx, "node", workflows.NodeStatesName, nil, &all); err != nil || len(names) == 0 {
		return all, err
	}
	i := slices.IndexFunc(all, func(n fleet.NodeState) bool { return n.Name == names[0] })
	if i < 0 {
		return nil, unknownNode(names[0], all)
	}
	return all[i : i+1], nil
}

// unknownNode is the fault of a node that is not there.
func unknownNode(name string, all []fleet.NodeState) error {
	var known []string
	for _, n := range all {
		known = append(known, n.Name)
	}
	f := fault.New(fault.NotFound, "no node is called %s", name).WithHint("list them: mcp node list")
	if near := servicedef.Nearest(name, known); len(near) > 0 {
		f = f.WithHint("did you mean %s? mcp node list shows them all", strings.Join(near, " or "))
	}
	return usageError{f}
}

func (a *App) nodeList(ctx context.Context) error {
	nodes, err := a.nodes(ctx, nil)
	if err != nil {
		return err
	}
	list := make([]listedNode, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, listedNode{
			Name: n.Name, State: stateOf(n), Draining: n.Draining, Since: n.Since, Announced: n.Seen, Address: n.Address, Runtime: n.Runtime, MCP: n.Version,
		})
	}
	if a.json {
		a.printJSON(list)
		return nil
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NODE\tSTATE\tSINCE\tADDRESS\tRUNTIME\tMCP")
	for _, n := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, shownState(n.State, n.Draining), moment(n.Since), n.Address, n.Runtime, n.MCP)
	}
	return table.Flush()
}

func (a *App) nodeStatus(ctx context.Context, names []string) error {
	nodes, err := a.nodes(ctx, names)
	if err != nil {
		return err
	}
	list := make([]nodeStatus, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, nodeStatus{lastState(n), lastStatus(n).NodeFigures})
	}
	if a.json {
		a.printJSON(list)
		return nil
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NODE\tSTATE\tSEEN\tUPTIME\tCPU\tLOAD\tMEMORY\tDISK\tCONTAINERS")
	for _, n := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.0f %%\t%s\t%s\t%s\t%d, %d running\n", n.Name, shownState(n.State, n.Draining), moment(n.Seen),
			time.Duration(n.UptimeSeconds)*time.Second, n.CPUPercent, loads(n.Load), usage(n.Memory), usage(n.Disk), n.Containers, n.Running)
	}
	return table.Flush()
}

func (a *App) nodeShow(ctx context.Context, names []string, since time.Duration) error {
	nodes, err := a.nodes(ctx, names)
	if err != nil {
		return err
	}
	var history fleet.NodeHistory
	in := workflows.NodeHistoryInput{Node: names[0], Since: since}
	if err := a.query(ctx, "node", workflows.NodeHistoryName, in, &history); err != nil {
		return err
	}
	n := nodes[0]
	shown := shownNode{
		nodeState: lastState(n), NodeStatus: lastStatus(n), Address: n.Address, Announced: n.Seen, Drift: n.Drift, History: history,
	}
	if a.json {
		a.printJSON(shown)
		return nil
	}
	a.writeNode(shown)
	return nil
}

// writeNode shows a node to a person.
func (a *App) writeNode(n shownNode) {
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	for _, line := range [][2]string{
		{"node", n.Name},
		{"state", n.State + " since " + moment(n.Since)},
		{"new containers", newContainers(n.Draining)},
		{"last answer", moment(n.Seen)},
		{"worker", fmt.Sprintf("mcp %s, started %s", n.MCP, moment(n.Announced))},
		{"routes on", n.Address},
		{"host", fmt.Sprintf("%s, Linux %s, %s, up %s", n.Hostname, n.Kernel, n.Arch, time.Duration(n.UptimeSeconds)*time.Second)},
		{"engine", fmt.Sprintf("%s, network %s, cgroups %s", n.Runtime, n.Network, n.Cgroups)},
		{"containers", fmt.Sprintf("%d, %d running", n.Containers, n.Running)},
		{"processors", fmt.Sprintf("%.0f %% busy, load %s", n.CPUPercent, loads(n.Load))},
		{"memory", usage(n.Memory)},
		{"disk", fmt.Sprintf("%s, %s", usage(n.Disk), n.Storage)},
		{"ephemeral ports", fmt.Sprintf("%d–%d", n.EphemeralLow, n.EphemeralHigh)},
	} {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	for _, d := range n.Disks {
		_, _ = fmt.Fprintf(table, "disk\t%s, %s\n", usage(d.Usage), d.Path)
	}
	writeHistory(table, n.History)
	for _, d := range n.Drift {
		_, _ = fmt.Fprintf(table, "drift\t%s %s since %s: %s\n", d.Subject(), d.Kind, moment(d.Since), d.Detail)
	}
	_ = table.Flush()
}

// writeHistory shows how a node has been.
func writeHistory(w io.Writer, h fleet.NodeHistory) {
	_, _ = fmt.Fprintf(w, "since %s\t%d looks\n", moment(h.From), h.Looks)
	if h.Looks == 0 {
		return
	}
	for _, figure := range []struct {
		name, format string
		fleet.Range
	}{
		{"processors", "%.0f–%.0f %%, %.0f %% on average", h.CPU},
		{"load", "%.2f–%.2f, %.2f on average", h.Load},
		{"memory", "%.0f–%.0f %%, %.0f %% on average", h.Memory},
		{"disk", "%.0f–%.0f %%, %.0f %% on average", h.Disk},
		{"running", "%.0f–%.0f, %.1f on average", h.Running},
	} {
		_, _ = fmt.Fprintf(w, "  %s\t"+figure.format+"\n", figure.name, figure.Low, figure.High, figure.Mean)
	}
}

func lastState(n fleet.NodeState) nodeState {
	return nodeState{Name: n.Name, State: stateOf(n), Draining: n.Draining, Since: n.Since, Seen: n.Answered}
}

// lastStatus is the status that the node answered last; before the first
// observation it holds what its worker announced.
func lastStatus(n fleet.NodeState) fleet.NodeStatus {
	var s fleet.NodeStatus
	if n.Status != nil {
		s = *n.Status
	} else {
		s.Load = []float64{}
	}
	s.Runtime, s.MCP = cmp.Or(s.Runtime, n.Runtime), cmp.Or(s.MCP, n.Version)
	s.Disks = append([]fleet.Disk{}, s.Disks...)
	return s
}

// stateOf is one word: of a node that answers whether it is draining, of
// another one that it does not.
func stateOf(n fleet.NodeState) string {
	if n.State == fleet.NodeReady && n.Draining {
		return fleet.NodeDraining
	}
	return cmp.Or(n.State, "unknown")
}

// shownState is a state for a person, who should see both at once.
func shownState(state string, draining bool) string {
	if draining && state != fleet.NodeDraining {
		return state + ", " + fleet.NodeDraining
	}
	return state
}

// newContainers says whether a node gets any.
func newContainers(draining bool) string {
	if draining {
		return "none: it is draining"
	}
	return "yes"
}

// moment renders a time; "-" where there is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// loads renders load averages: "0.42 0.40 0.38".
func loads(averages []float64) string {
	var list []string
	for _, average := range averages {
		list = append(list, fmt.Sprintf("%.2f", average))
	}
	return strings.Join(list, " ")
}

// usage renders how much is in use: "3.1 of 15.6 GiB (20 %)".
func usage(u fleet.Usage) string {
	if u.Total == 0 {
		return "-"
	}
	const gib = 1 << 30
	return fmt.Sprintf("%.1f of %.1f GiB (%.0f %%)", float64(u.Used)/gib, float64(u.Total)/gib, u.Percent())
}
