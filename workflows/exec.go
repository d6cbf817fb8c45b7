package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/selection"
	"github.com/metacircular/mcp/workflows/call"
)

// ExecInput is a command to run in a component's container.
type ExecInput struct {
	Service string `json:"service"`
	// Component may be "" if the service has only one.
	Component string   `json:"component,omitempty"`
	Command   []string `json:"command"`
	// Timeout is how long to wait for the command.
	Timeout time.Duration `json:"timeout"`
}

// ExecResult is the output and the exit code of a command.
type ExecResult = onnode.ExecResult

// Exec runs a command in a component's container, once.
func Exec(ctx workflow.Context, in ExecInput) (*ExecResult, error) {
	members, _, err := selectMembers(ctx, in.Service, in.Component)
	if err != nil {
		return nil, call.Failure(err)
	}
	if len(members) > 1 {
		return nil, call.Failure(fault.New(fault.Invalid, "service %s has several components", in.Service).
			WithHint("name one: mcp exec %s/%s -- …", in.Service, members[0].Component))
	}
	m, result := members[0], &ExecResult{}
	step := call.ExecStep(ctx, m.Node, "run "+in.Command[0]+" in "+m.Container, in.Timeout)
	err = call.NodeFault(workflow.ExecuteActivity(step, node.Exec, onnode.ExecInput{
		Component: m.Component, Container: m.Container, Command: in.Command, Timeout: in.Timeout,
	}).Get(ctx, result), m.Node)
	if call.IsCancelled(err) {
		return nil, err
	}
	if err != nil {
		return nil, call.Failure(err)
	}
	return result, nil
}

// selectMembers returns the components of a service's release, or one of them, and
// the names of all.
func selectMembers(ctx workflow.Context, service, component string) ([]fleet.Member, []string, error) {
	release, err := call.Control(ctx, "load the release", call.ReadTimeout, control.LoadRelease, service)
	if err != nil {
		return nil, nil, err
	}
	return selection.Members(release, component)
}
