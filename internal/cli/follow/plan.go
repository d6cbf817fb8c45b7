package follow

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// WritePlan prints a plan for a person.
func WritePlan(w io.Writer, r workflows.PlanResult) {
	p := r.Plan
	defer writeWarnings(w, p.Warnings)
	if p.Unchanged() {
		text := "no change"
		if r.Dirty {
			text = "no change to its containers; it is dirty, and a deploy marks it clean"
		}
		_, _ = fmt.Fprintf(w, "%s: %s\n", p.Service, text)
		writeJobs(w, p.Jobs)
		writeEdges(w, p.Edges)
		return
	}
	from := "no release yet"
	if r.Release != 0 {
		from = fmt.Sprintf("from release %d", r.Release)
	}
	_, _ = fmt.Fprintf(w, "%s: %s\n", p.Service, from)
	for _, recovery := range p.Recovery {
		_, _ = fmt.Fprintf(w, "  ! %s: %s to repair, left by a deploy that did not end, or renamed by hand\n",
			recovery.Node, ui.Counted(repaired(recovery), "container"))
	}
	for _, image := range r.Builds {
		_, _ = fmt.Fprintf(w, "  * build and push %s\n", image)
	}
	table := ui.Table(w)
	for _, step := range p.Steps {
		_, _ = fmt.Fprintf(table, "  %s %s\t%s\t%s\n", Sign(step.Action), step.Component, step.Node, step.Action)
		for _, change := range step.Changes {
			if change.Field != "component" { // the sign shows that it is new, or removed
				_, _ = fmt.Fprintf(table, "      %s\n", changeText(change))
			}
		}
		for _, taking := range step.Takes {
			_, _ = fmt.Fprintf(table, "      takes %s from %s, which stops first\n", taking.Thing, taking.From)
		}
	}
	_ = table.Flush()
	writeTasks(w, p)
	writeJobs(w, p.Jobs)
	writeEdges(w, p.Edges)
	if p.Definition && !p.TouchesContainers() && !p.ChangesJobs() {
		_, _ = fmt.Fprintln(w, "  the definition changes, and no container for it")
	}
	for _, node := range p.Unreachable {
		_, _ = fmt.Fprintf(w, "  ! %s does not answer: what it has to remove stays until it is back\n", node)
	}
}

// writeTasks prints the steps of the definition that a deploy runs.
func writeTasks(w io.Writer, p plan.Plan) {
	table := ui.Table(w)
	for _, task := range p.Tasks {
		when := "runs before the containers start"
		switch {
		case task.When == servicedef.StepAfter:
			when = "runs after the containers have started"
		case len(task.After) > 0:
			when = fmt.Sprintf("runs after %s, before the rest", strings.Join(task.After, ", "))
		}
		_, _ = fmt.Fprintf(table, "  > %s\t%s\t%s\n", task.Name, task.Node, when)
		for _, change := range task.Changes {
			if change.Field != "step" {
				_, _ = fmt.Fprintf(table, "      %s\n", changeText(change))
			}
		}
	}
	_ = table.Flush()
}

// writeEdges prints what becomes of the endpoints at the edges.
func writeEdges(w io.Writer, changes []plan.EdgeChange) {
	table := ui.Table(w)
	for _, c := range changes {
		leads := strings.Join(c.Components, ", ")
		if c.Redirect != "" {
			leads = "redirects to " + c.Redirect
		}
		_, _ = fmt.Fprintf(table, "  %s %s\t%s\n", Sign(c.Action), c.URL, leads)
		for _, change := range c.Changes {
			_, _ = fmt.Fprintf(table, "      %s\n", changeText(change))
		}
	}
	_ = table.Flush()
}

func writeWarnings(w io.Writer, warnings []string) {
	for _, warning := range warnings {
		_, _ = fmt.Fprintf(w, "  ! %s\n", warning)
	}
}

// repaired counts the containers that a recovery removes, renames or starts.
func repaired(r plan.Recovery) int {
	names := map[string]bool{}
	for _, c := range slices.Concat(r.Remove, r.Start) {
		names[c.Name] = true
	}
	for _, rename := range r.Rename {
		names[rename.To] = true // which it may start, too
	}
	return len(names)
}
