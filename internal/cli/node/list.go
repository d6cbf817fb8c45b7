package node

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
)

// listedNode is one entry of mcp node list --json.
type listedNode struct {
	Name string `json:"name"`
	// State is "unknown" before the first observation.
	State string `json:"state"`
	// Draining is set where the node gets no new container.
	Draining bool `json:"draining"`
	// Observed is when the node was last observed; Overdue is set where the next
	// observation is late, so that State may be outdated.
	Observed time.Time `json:"observed,omitzero"`
	Overdue  bool      `json:"overdue"`
	// Since is when the node became ready or unreachable.
	Since time.Time `json:"since,omitzero"`
	// Reason is why it is unreachable, such as that podman there does not answer, or why its
	// policy lets nothing new run.
	Reason string `json:"reason,omitempty"`
	// Announced is when its worker started.
	Announced time.Time `json:"announced"`
	Address   string    `json:"address"`
	Runtime   string    `json:"runtime"`
	MCP       string    `json:"mcp"`
	// Fingerprint is that of the key to which secrets for the node are sealed; "" for none.
	Fingerprint string `json:"fingerprint"`
}

func runList(ctx context.Context, s *session.Session) error {
	nodes, err := readNodes(ctx, s, nil)
	if err != nil {
		return err
	}
	list := make([]listedNode, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, listedNode{
			Name: n.Name, State: stateOf(n), Draining: n.Draining, Observed: n.Observed, Overdue: n.Overdue, Since: n.Since,
			Reason: reasonOf(n), Announced: n.Seen, Address: n.Address, Runtime: n.Runtime, MCP: n.Version, Fingerprint: fingerprint(n.Key),
		})
	}
	if s.JSON {
		s.PrintJSON(list)
		return nil
	}
	return writeList(s.Stdout, list)
}

// writeList prints nodes for a person; the last column only if one has a reason.
func writeList(out io.Writer, list []listedNode) error {
	table := ui.Table(out)
	head := "NODE\tSTATE\tSINCE\tADDRESS\tRUNTIME\tMCP\tKEY"
	reasons := slices.ContainsFunc(list, func(n listedNode) bool { return n.Reason != "" })
	if reasons {
		head += "\tREASON"
	}
	_, _ = fmt.Fprintln(table, head)
	for _, n := range list {
		state := shownState(n.State, n.Draining, overdueSince(n.Overdue, n.Observed))
		line := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", n.Name, state, ui.Moment(n.Since), n.Address, n.Runtime, n.MCP, shortKey(n.Fingerprint))
		if reasons {
			line += "\t" + n.Reason
		}
		_, _ = fmt.Fprintln(table, line)
	}
	return table.Flush()
}
