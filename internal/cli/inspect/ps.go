package inspect

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/reads"
)

// process is one entry of mcp ps --json.
type process struct {
	Node      string `json:"node"`
	Container string `json:"container"`
	Service   string `json:"service"`
	Component string `json:"component"`
	// Step and Job are what its container runs for; "" for a component's.
	Step    string    `json:"step,omitempty"`
	Job     string    `json:"job,omitempty"`
	Image   string    `json:"image"`
	State   string    `json:"state"`
	Started time.Time `json:"started,omitzero"`
	// UptimeSeconds is 0 for one that does not run.
	UptimeSeconds int64             `json:"uptime_seconds"`
	Ports         []servicedef.Port `json:"ports"`
	// Managed is whether mcp runs it; Orphan whether it is one of mcp's that no
	// release has.
	Managed bool `json:"managed"`
	Orphan  bool `json:"orphan"`

	standing watch.Standing
}

func newPs(s *session.Session) *cobra.Command {
	var nodes []string
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List the containers of the nodes, mcp's and others",
		Long: `Ps lists every container of the nodes. A managed one belongs to a release, an
unmanaged one is not mcp's, and an orphan is one that mcp has made and that
belongs to no release: the next deploy of its service removes it. A run of a step
or a job is shown with its name.`,
		Example: "  mcp ps\n  mcp ps --node rift --json",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runPs(cmd.Context(), s, nodes) },
	}
	cmd.Flags().StringSliceVar(&nodes, "node", nil, "only containers of these nodes")
	return cmd
}

func runPs(ctx context.Context, s *session.Session, nodes []string) error {
	var result reads.ProcessesResult
	if err := s.Query(ctx, "ps", reads.ProcessesName, reads.ProcessesInput{Nodes: nodes}, &result); err != nil {
		return err
	}
	list := processes(result)
	if s.JSON {
		s.PrintJSON(list)
	} else {
		writeProcesses(s, list)
	}
	failed := false
	for _, n := range result.Nodes {
		if n.Error != nil {
			failed = true
			s.Fault(n.Error)
		}
	}
	if failed {
		return exit.Failed
	}
	return nil
}

// processes returns all containers, by node and name.
func processes(r reads.ProcessesResult) []process {
	list := []process{}
	for _, n := range r.Nodes {
		recognised := fleet.Recognise(n.Node, n.Containers, fleet.Releases(r.Services)...)
		standings := watch.Standings(n.Node, recognised, r.Services)
		for i, c := range n.Containers {
			p := process{
				Node: n.Node, Container: c.Name, Image: c.Image, State: c.State, Started: c.Started, UptimeSeconds: c.UptimeSeconds,
				Service: recognised[i].Service, Component: recognised[i].Component, Ports: c.Ports, standing: standings[c.Name],
			}
			switch c.Task.Kind {
			case fleet.StepTask:
				p.Step = c.Task.Name
			case fleet.JobTask:
				p.Job = c.Task.Name
			}
			p.Managed, p.Orphan = p.standing == watch.Managed, p.standing == watch.Orphan
			if p.Ports == nil {
				p.Ports = []servicedef.Port{}
			}
			list = append(list, p)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].Node != list[j].Node {
			return list[i].Node < list[j].Node
		}
		return list[i].Container < list[j].Container
	})
	return list
}

// writeProcesses prints the list for a person.
func writeProcesses(s *session.Session, list []process) {
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "NODE\tCONTAINER\tMCP\tSERVICE\tSTATE\tUPTIME\tPORTS\tIMAGE")
	for _, p := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Node, p.Container, p.standing, p.part(),
			p.State, uptime(p.State, p.UptimeSeconds), mappings(p.Ports), p.Image)
	}
	_ = table.Flush()
}

// part returns the service, with the step or the job whose run it is.
func (p process) part() string {
	switch {
	case p.Step != "":
		return p.Service + " (step " + p.Step + ")"
	case p.Job != "":
		return p.Service + " (job " + p.Job + ")"
	}
	return cmp.Or(p.Service, "-")
}

// mappings renders ports as podman does: "127.0.0.1:8080->80/tcp".
func mappings(ports []servicedef.Port) string {
	var list []string
	for _, p := range ports {
		list = append(list, fmt.Sprintf("%s->%d/%s", net.JoinHostPort(cmp.Or(p.IP, "0.0.0.0"), strconv.Itoa(p.Host)), p.Container, p.Protocol))
	}
	return strings.Join(list, " ")
}
