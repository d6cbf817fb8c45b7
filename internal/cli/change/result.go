package change

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/routes"
)

// showResult shows how a changing verb ended, and returns its exit code.
func showResult(s *session.Session, r workflows.Result) error {
	if s.JSON {
		s.PrintJSON(r)
	}
	return reportResult(s, r)
}

// reportResult shows a person how a changing verb ended, and returns its exit code.
func reportResult(s *session.Session, r workflows.Result) error {
	if !s.JSON {
		writeResult(s, r)
	}
	if r.Error != nil {
		s.Fault(r.Error)
	}
	for _, undone := range r.Undone {
		s.Say("dirty: not done: %s", undone)
	}
	switch {
	case r.Error != nil && r.Dirty:
		return exit.Dirty
	case r.Error != nil && r.Error.Kind == fault.NotFound && r.Deployment == 0:
		return exit.BadUsage // the service or release does not exist
	case r.Error != nil:
		return exit.Failed
	}
	return nil
}

// writeResult prints a result for a person.
func writeResult(s *session.Session, r workflows.Result) {
	elapsed := time.Duration(r.ElapsedMS) * time.Millisecond
	if r.Deployment == 0 { // it was not begun, or its number is not in the result
		_, _ = fmt.Fprintf(s.Stdout, "%s: %s\n", r.Service, r.Outcome)
		if r.Forgotten != nil {
			writeForgotten(s, *r.Forgotten)
		}
		return
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: %s, deployment %d, %s%s\n", r.Service, r.Outcome, r.Deployment, elapsed, retiring(r.Retiring))
	if r.Outcome != workflows.Succeeded && r.Outcome != workflows.Unchanged {
		return
	}
	table := ui.Table(s.Stdout)
	for _, c := range r.Components {
		_, _ = fmt.Fprintf(table, "  %s %s\t%s\t%s\t%s\n", follow.Sign(c.Action), c.Name, c.Node, made(c), portList(c.Ports))
	}
	_ = table.Flush()
	for _, url := range r.URLs {
		_, _ = fmt.Fprintf(s.Stdout, "  %s\n", url)
	}
	for _, e := range r.Edges {
		writeEdge(s, e)
	}
	for _, left := range r.Left {
		_, _ = fmt.Fprintf(s.Stdout, "  left alone: %s\n", left)
	}
}

// writeEdge prints what keeps an edge from serving a release.
func writeEdge(s *session.Session, e routes.EdgePublished) {
	if e.Error != nil {
		_, _ = fmt.Fprintf(s.Stdout, "  ! edge %s has not taken it over, and does when it is back: %s\n", e.Edge, ui.FirstLine(e.Error.Message))
	}
	for _, problem := range e.Problems {
		_, _ = fmt.Fprintf(s.Stdout, "  ! edge %s: %s\n", e.Edge, ui.FirstLine(problem))
	}
}

// retiring describes the containers that run on beside their successors; "" for none.
func retiring(list []workflows.Retiring) string {
	if len(list) == 0 {
		return ""
	}
	verb, what := "retire", fmt.Sprintf("%d old containers", len(list))
	if slices.ContainsFunc(list, func(r workflows.Retiring) bool { return r.DrainMS > 0 }) {
		verb = "drain"
	}
	if len(list) == 1 {
		verb, what = verb+"s", "the old container"
	}
	return "; " + what + " " + verb
}

// made names what was done to a component, and to its image.
func made(c workflows.ComponentResult) string {
	words := map[plan.Action]string{
		plan.Create: "created", plan.Replace: "replaced", plan.Keep: "unchanged",
		plan.Stop: "stopped", plan.Remove: "removed", plan.Take: "adopted unchanged",
	}
	if c.Built {
		return words[c.Action] + ", built"
	}
	return words[c.Action]
}

// portList renders routes with their host ports: "rest:23456 admin:31001".
func portList(ports map[string]int) string {
	var list []string
	for name, port := range ports {
		list = append(list, fmt.Sprintf("%s:%d", name, port))
	}
	sort.Strings(list)
	return strings.Join(list, " ")
}

// writeForgotten prints what a purge deletes.
func writeForgotten(s *session.Session, f fleet.Forgotten) {
	for _, line := range rowsOf(f) {
		_, _ = fmt.Fprintf(s.Stdout, "  - %s\n", line)
	}
}

// rowsOf counts the rows that a purge deletes, a line for each kind.
func rowsOf(f fleet.Forgotten) []string {
	var lines []string
	for _, of := range []struct {
		n    int
		noun string
	}{
		{f.Deployments, "deployment"}, {f.Definitions, "definition"}, {f.Ports, "port"}, {f.Events, "event"}, {f.Drift, "open drift"}, {f.Secrets, "secret"},
	} {
		if of.n > 0 {
			lines = append(lines, ui.Counted(of.n, of.noun))
		}
	}
	return lines
}
