package node

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
)

// nodeStatus is one entry of mcp node status --json: a node at its last answer.
type nodeStatus struct {
	Name          string      `json:"name"`
	State         string      `json:"state"`
	Draining      bool        `json:"draining"`
	Since         time.Time   `json:"since,omitzero"`
	Seen          time.Time   `json:"seen,omitzero"`
	UptimeSeconds int64       `json:"uptime_seconds"`
	Runtime       string      `json:"runtime"`
	MCP           string      `json:"mcp"`
	CPUPercent    float64     `json:"cpu_percent"`
	Load          []float64   `json:"load"`
	Memory        fleet.Usage `json:"memory"`
	Disk          fleet.Usage `json:"disk"`
	// Disks are the other file systems with volumes of containers.
	Disks      []fleet.Disk `json:"disks"`
	Containers int          `json:"containers"`
	Running    int          `json:"running"`
}

func runStatus(ctx context.Context, s *session.Session, names []string) error {
	nodes, err := readNodes(ctx, s, names)
	if err != nil {
		return err
	}
	list := make([]nodeStatus, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, statusOf(n))
	}
	if s.JSON {
		s.PrintJSON(list)
		return nil
	}
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "NODE\tSTATE\tSEEN\tUPTIME\tCPU\tLOAD\tMEMORY\tDISK\tCONTAINERS")
	for _, n := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.0f %%\t%s\t%s\t%s\t%d, %d running\n", n.Name, shownState(n.State, n.Draining), ui.Moment(n.Seen),
			time.Duration(n.UptimeSeconds)*time.Second, n.CPUPercent, loads(n.Load), ui.Usage(n.Memory), ui.Usage(n.Disk), n.Containers, n.Running)
	}
	return table.Flush()
}

func statusOf(n fleet.NodeState) nodeStatus {
	s := statusIn(n)
	return nodeStatus{
		Name: n.Name, State: stateOf(n), Draining: n.Draining, Since: n.Since, Seen: n.Answered, UptimeSeconds: s.UptimeSeconds,
		Runtime: cmp.Or(s.Runtime, n.Runtime), MCP: cmp.Or(s.MCP, n.Version),
		CPUPercent: s.CPUPercent, Load: s.Load, Memory: s.Memory, Disk: s.Disk, Disks: append([]fleet.Disk{}, s.Disks...), Containers: s.Containers, Running: s.Running,
	}
}
