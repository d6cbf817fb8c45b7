package cli

import (
	"fmt"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

// showResult shows how a changing verb ended, and gives its exit code.
func (a *App) showResult(r workflows.Result) error {
	if a.json {
		a.printJSON(r)
	}
	return a.tellResult(r)
}

// tellResult tells a person how a changing verb ended, and gives its exit code.
func (a *App) tellResult(r workflows.Result) error {
	if !a.json {
		a.writeResult(r)
	}
	if r.Error != nil {
		writeFault(a.Stderr, r.Error)
	}
	for _, undone := range r.Undone {
		a.say("dirty: not done: %s", undone)
	}
	switch {
	case r.Error != nil && r.Dirty:
		return exitError(exitDirty)
	case r.Error != nil && r.Error.Kind == fault.NotFound && r.Deployment == 0:
		return exitError(exitUsage) // there is no such thing to act on
	case r.Error != nil:
		return exitError(exitFailed)
	}
	return nil
}

// writeResult shows a result to a person.
func (a *App) writeResult(r workflows.Result) {
	elapsed := time.Duration(r.ElapsedMS) * time.Millisecond
	if r.Deployment == 0 { // it did not get that far, or could not say
		_, _ = fmt.Fprintf(a.Stdout, "%s: %s\n", r.Service, r.Outcome)
		if r.Forgotten != nil {
			a.writeForgotten(*r.Forgotten)
		}
		return
	}
	_, _ = fmt.Fprintf(a.Stdout, "%s: %s, deployment %d, %s\n", r.Service, r.Outcome, r.Deployment, elapsed)
	if r.Outcome != workflows.Succeeded && r.Outcome != workflows.Unchanged {
		return
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	for _, c := range r.Components {
		_, _ = fmt.Fprintf(table, "  %s %s\t%s\t%s\t%s\n", sign(c.Action), c.Name, c.Node, made(c), portList(c.Ports))
	}
	_ = table.Flush()
	for _, left := range r.Left {
		_, _ = fmt.Fprintf(a.Stdout, "  left alone: %s\n", left)
	}
}

// sign is an action in a diff's terms.
func sign(action plan.Action) string {
	switch action {
	case plan.Create:
		return "+"
	case plan.Replace:
		return "~"
	case plan.Remove, plan.Stop:
		return "-"
	}
	return "="
}

// made says what became of a component, and of its image.
func made(c workflows.ComponentResult) string {
	words := map[plan.Action]string{
		plan.Create: "created", plan.Replace: "replaced", plan.Keep: "unchanged",
		plan.Stop: "stopped", plan.Remove: "removed", plan.Take: "adopted as it is",
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
