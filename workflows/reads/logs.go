package reads

import (
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/selection"
	"github.com/metacircular/mcp/workflows/call"
)

// Logs reads the output of a service's components.
func Logs(ctx workflow.Context, in LogsInput) (*LogsResult, error) {
	release, err := call.Control(ctx, "load the release", call.ReadTimeout, control.LoadRelease, in.Service)
	if err != nil {
		return nil, call.Failure(err)
	}
	if result, err := runLogs(ctx, release, in); call.IsCancelled(err) {
		return nil, err
	} else if err != nil {
		return nil, call.Failure(err)
	} else if result != nil {
		return result, nil
	}
	members, names, err := selection.Members(release, in.Component)
	if err != nil {
		return nil, call.Failure(err)
	}
	if in.Where {
		return whereIs(release, members, names), nil
	}
	asked := map[string][]onnode.LogSource{}
	for _, m := range members {
		asked[m.Node] = append(asked[m.Node], onnode.LogSource{Component: m.Component, Container: m.Container, Marks: in.Marks})
	}
	result, g := &LogsResult{Components: names}, call.NewGroup(ctx)
	for _, name := range workflow.DeterministicKeys(asked) {
		sources := asked[name]
		step := call.LogsStep(g.Context(), name, "read logs on "+name, in.Wait)
		g.Add(workflow.ExecuteActivity(step, node.ContainerLogs, onnode.LogsInput{
			Sources: sources, Lines: in.Lines, Since: in.Since, Wait: in.Wait, Bytes: maxAnswer * len(sources) / len(members),
		}), func(f workflow.Future) error {
			var found onnode.LogsResult
			if err := call.NodeFault(f.Get(ctx, &found), name); call.IsCancelled(err) {
				return err
			} else if err != nil {
				result.Logs = append(result.Logs, unread(sources, name, attempt.FaultOf(err))...)
			}
			for _, s := range found.Sources {
				result.Logs = append(result.Logs, ComponentLogs{SourceLogs: s, Node: name})
			}
			return nil
		})
	}
	if err := g.Wait(ctx); err != nil {
		return nil, err
	}
	slices.SortFunc(result.Logs, func(a, b ComponentLogs) int { return strings.Compare(a.Component, b.Component) })
	return result, nil
}

// whereIs is where components are.
func whereIs(release fleet.Release, members []fleet.Member, names []string) *LogsResult {
	result := &LogsResult{Components: names}
	for _, m := range members {
		logs := ComponentLogs{Node: m.Node}
		logs.Component, logs.Container = m.Component, m.Container
		logs.Adopted = slices.ContainsFunc(release.Adopted, func(a fleet.Adopted) bool { return a.Component == m.Component })
		result.Logs = append(result.Logs, logs)
	}
	return result
}

// unread are the components of a node that did not answer.
func unread(sources []onnode.LogSource, node string, f *fault.Error) []ComponentLogs {
	var logs []ComponentLogs
	for _, s := range sources {
		logs = append(logs, ComponentLogs{SourceLogs: onnode.SourceLogs{Component: s.Component, Container: s.Container}, Node: node, Error: f})
	}
	return logs
}
