package node

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// shownNode is mcp node show --json.
type shownNode struct {
	nodeState
	fleet.NodeStatus
	Address   string    `json:"address"`
	Announced time.Time `json:"announced"`
	// Key is the public key to which secrets for the node are sealed, and Fingerprint its
	// short form; "" for none. Signers are the operators whose secrets it takes.
	Key         string   `json:"key"`
	Fingerprint string   `json:"fingerprint"`
	Signers     []string `json:"signers"`

	Drift   []fleet.OpenDrift `json:"drift"`
	History fleet.NodeHistory `json:"history"`
}

func newShow(s *session.Session) *cobra.Command {
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "show NODE",
		Short: "Show everything recorded about a node",
		Long: `Show prints the state of a node at its last answer, and the lowest, the mean and
the highest of its figures before. Each observation is kept for 48 hours, and the
figures of each hour for 30 days.`,
		Example: "  mcp node show rift\n  mcp node show rift --since 48h",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if since <= 0 {
				return exit.Usage(fmt.Errorf("--since must be a positive duration, such as 1h, not %s", since))
			}
			return runShow(cmd.Context(), s, names, since)
		},
	}
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back its figures go")
	return cmd
}

func runShow(ctx context.Context, s *session.Session, names []string, since time.Duration) error {
	nodes, err := readNodes(ctx, s, names)
	if err != nil {
		return err
	}
	var history fleet.NodeHistory
	in := reads.NodeHistoryInput{Node: names[0], Since: since}
	if err := s.Query(ctx, "node", reads.NodeHistoryName, in, &history); err != nil {
		return err
	}
	n := nodes[0]
	shown := shownNode{
		nodeState: lastState(n), NodeStatus: lastStatus(n), Address: n.Address, Announced: n.Seen, Drift: n.Drift, History: history,
		Key: n.Key, Fingerprint: fingerprint(n.Key), Signers: append([]string{}, n.Signers...),
	}
	if s.JSON {
		s.PrintJSON(shown)
		return nil
	}
	writeNode(s, shown)
	return nil
}

// writeNode prints a node for a person.
func writeNode(s *session.Session, n shownNode) {
	table := ui.Table(s.Stdout)
	for _, line := range linesOf(n) {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	for _, d := range n.Disks {
		_, _ = fmt.Fprintf(table, "disk\t%s, %s\n", ui.Usage(d.Usage), d.Path)
	}
	writeHistory(table, n.History)
	for _, d := range n.Drift {
		_, _ = fmt.Fprintf(table, "drift\t%s %s since %s: %s\n", d.Subject(), d.Kind, ui.Moment(d.Since), d.Detail)
	}
	_ = table.Flush()
}

// linesOf returns what is known of a node: before its first observation, what its worker
// has announced.
func linesOf(n shownNode) [][2]string {
	lines := [][2]string{
		{"node", n.Name},
		{"state", sinceText(shownState(n.State, false, overdueSince(n.Overdue, n.Observed)), n.Since)},
		{"new containers", newContainers(n.Draining)},
		{"last answer", ui.Moment(n.Seen)},
		{"worker", fmt.Sprintf("mcp %s, started %s", n.MCP, ui.Moment(n.Announced))},
		{"routes on", n.Address},
		{"key for secrets", cmp.Or(n.Fingerprint, "none: start its worker again with this mcp")},
		{"takes secrets of", cmp.Or(strings.Join(n.Signers, " "), "no signer: see mcp secret signer")},
	}
	if n.Seen.IsZero() {
		return append(lines, [2]string{"engine", n.Runtime})
	}
	return append(lines, [][2]string{
		{"host", fmt.Sprintf("%s, Linux %s, %s, up %s", n.Hostname, n.Kernel, n.Arch, time.Duration(n.UptimeSeconds)*time.Second)},
		{"engine", fmt.Sprintf("%s, network %s, cgroups %s", n.Runtime, n.Network, n.Cgroups)},
		{"containers", fmt.Sprintf("%d, %d running", n.Containers, n.Running)},
		{"processors", fmt.Sprintf("%.0f %% busy, load %s", n.CPUPercent, loads(n.Load))},
		{"memory", ui.Usage(n.Memory)},
		{"disk", fmt.Sprintf("%s, %s", ui.Usage(n.Disk), n.Storage)},
		{"ephemeral ports", fmt.Sprintf("%d–%d", n.EphemeralLow, n.EphemeralHigh)},
	}...)
}

// writeHistory prints the ranges of a node's figures.
func writeHistory(w io.Writer, h fleet.NodeHistory) {
	_, _ = fmt.Fprintf(w, "since %s\t%d observations\n", ui.Moment(h.From), h.Observations)
	if h.Observations == 0 {
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
