package node

import (
	"context"
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
)

// nodeStatus is one entry of mcp node status --json.
type nodeStatus struct {
	nodeState
	fleet.NodeFigures
}

func runStatus(ctx context.Context, s *session.Session, names []string) error {
	nodes, err := readNodes(ctx, s, names)
	if err != nil {
		return err
	}
	list := make([]nodeStatus, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, nodeStatus{lastState(n), lastStatus(n).NodeFigures})
	}
	if s.JSON {
		s.PrintJSON(list)
		return nil
	}
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "NODE\tSTATE\tSEEN\tUPTIME\tCPU\tLOAD\tMEMORY\tDISK\tCONTAINERS")
	for _, n := range list {
		if n.Seen.IsZero() {
			_, _ = fmt.Fprintf(table, "%s\t%s\t-\t-\t-\t-\t-\t-\t-\n", n.Name, shownState(n.State, n.Draining, overdueSince(n.Overdue, n.Observed)))
			continue
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.0f %%\t%s\t%s\t%s\t%d, %d running\n", n.Name, shownState(n.State, n.Draining, overdueSince(n.Overdue, n.Observed)), ui.Moment(n.Seen),
			time.Duration(n.UptimeSeconds)*time.Second, n.CPUPercent, loads(n.Load), ui.Usage(n.Memory), ui.Usage(n.Disk), n.Containers, n.Running)
	}
	return table.Flush()
}
