package workflows

import (
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// maxAnswer bounds the bytes that a read returns: Temporal's limit is 2 MB.
const maxAnswer = 1 << 20

// MaxLogLines is the maximum of a component's lines in one answer.
const MaxLogLines = onnode.MaxLogLines

// LogMarks are where to go on reading a component's output, by the ids of its
// containers.
type LogMarks = map[string]onnode.LogMark

// LogLine is a line of output.
type LogLine = onnode.LogLine

// LogsInput asks for the output of a service's components.
type LogsInput struct {
	Service string `json:"service"`
	// Component is one of them, or a step or a job, of which the last run is read; "" for
	// all components.
	Component string `json:"component,omitempty"`
	// Lines is the number of last lines wanted of each; 0 for new lines only.
	Lines int `json:"lines"`
	// Since is how far back these may go; 0 for no limit.
	Since time.Duration `json:"since,omitempty"`
	// Wait asks instead for what one component prints after the Marks, where a former
	// answer ended, and is how long to wait for it.
	Wait  time.Duration `json:"wait,omitempty"`
	Marks LogMarks      `json:"marks,omitempty"`
	// Where asks only where the components are, or the last run: no node is asked for lines.
	// Recorded also asks for those that were recorded with the end of the run.
	Where    bool `json:"where,omitempty"`
	Recorded bool `json:"recorded,omitempty"`
}

// LogsResult is the output of components.
type LogsResult struct {
	// Components are the names of all components of the service.
	Components []string `json:"components"`
	// Logs are those of the components that were asked for, sorted by name.
	Logs []ComponentLogs `json:"logs"`
	// Run is the run of a step or of a job whose output that is; nil for components.
	Run *LoggedRun `json:"run,omitempty"`
}

// ComponentLogs is the output of a component.
type ComponentLogs struct {
	onnode.SourceLogs
	Node string `json:"node"`
	// Adopted is set for a container that mcp has not started, where LogsInput.Where asks.
	Adopted bool `json:"adopted,omitempty"`
	// Error is why the node did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// Logs reads the output of a service's components.
func Logs(ctx workflow.Context, in LogsInput) (*LogsResult, error) {
	release, err := callControl(ctx, "load the release", readTimeout, control.LoadRelease, in.Service)
	if err != nil {
		return nil, readFailure(err)
	}
	if result, err := runLogs(ctx, release, in); isCancelled(err) {
		return nil, err
	} else if err != nil {
		return nil, readFailure(err)
	} else if result != nil {
		return result, nil
	}
	members, names, err := membersOf(release, in.Component)
	if err != nil {
		return nil, readFailure(err)
	}
	if in.Where {
		return whereIs(release, members, names), nil
	}
	asked := map[string][]onnode.LogSource{}
	for _, m := range members {
		asked[m.Node] = append(asked[m.Node], onnode.LogSource{Component: m.Component, Container: m.Container, Marks: in.Marks})
	}
	result, g := &LogsResult{Components: names}, newGroup(ctx)
	for _, name := range workflow.DeterministicKeys(asked) {
		sources := asked[name]
		step := logsStep(g.ctx, name, "read logs on "+name, in.Wait)
		g.add(workflow.ExecuteActivity(step, node.ContainerLogs, onnode.LogsInput{
			Sources: sources, Lines: in.Lines, Since: in.Since, Wait: in.Wait, Bytes: maxAnswer * len(sources) / len(members),
		}), func(f workflow.Future) error {
			var found onnode.LogsResult
			if err := nodeFault(f.Get(ctx, &found), name); isCancelled(err) {
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
	if err := g.wait(ctx); err != nil {
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

// logsStep is for reading logs, which may wait for lines.
func logsStep(ctx workflow.Context, node, summary string, wait time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToStartTimeout: nodeTimeout,
		StartToCloseTimeout:    wait + 4*nodeTimeout, // a log may be long
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// selectMembers returns the components of a service's release, or one of them, and
// the names of all.
func selectMembers(ctx workflow.Context, service, component string) ([]fleet.Member, []string, error) {
	release, err := callControl(ctx, "load the release", readTimeout, control.LoadRelease, service)
	if err != nil {
		return nil, nil, err
	}
	return membersOf(release, component)
}

// membersOf is selectMembers of a release that has been read.
func membersOf(release fleet.Release, component string) ([]fleet.Member, []string, error) {
	service, members := release.Service, release.Members()
	names, selected, only := []string{}, members, []string(nil)
	if component != "" {
		only = []string{component}
	}
	if err := requireComponents(release, toRead, only); err != nil {
		return nil, nil, err
	}
	if len(members) == 0 {
		return nil, nil, fault.New(fault.NotFound, "service %s has only jobs", service).WithHint("list their runs: mcp jobs %s", service)
	}
	for _, m := range members {
		if m.Component == component {
			selected = []fleet.Member{m}
		}
		names = append(names, m.Component)
	}
	return selected, names, nil
}
