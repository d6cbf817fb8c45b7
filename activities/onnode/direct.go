package onnode

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
)

// Direct does what a node does for streams, outside of activities.
type Direct struct{ node *Node }

// NewDirect returns the Direct of a node, which shares its readers of output: containers
// that have ended wait for those of streams too.
func NewDirect(node *Node) Direct { return Direct{node} }

// Logs reads output as [Node.ContainerLogs] does.
func (d Direct) Logs(ctx context.Context, in LogsInput) (LogsResult, error) {
	result, err := d.node.containerLogs(ctx, in)
	if err != nil && ctx.Err() == nil {
		err = d.node.placed(err, "")
	}
	return result, err
}

// TaskLog reads the output of a task as [Node.TaskLog] does.
func (d Direct) TaskLog(ctx context.Context, in TaskLogInput) (TaskLogResult, error) {
	return d.node.taskLog(ctx, in)
}

// PermitReach fails if the policy of the node forbids commands in its containers, and
// with them copying their files and connecting to their ports.
func (d Direct) PermitReach(container string) error {
	if d.node.Policies == nil {
		return nil
	}
	p := d.node.Policies.Policy()
	if broken := p.JudgeExec(); len(broken) > 0 {
		return d.node.forbidden(p.Name(), "commands in "+container, broken)
	}
	return nil
}

// Placed returns err with the place where it has occurred.
func (d Direct) Placed(err error, component string) *fault.Error {
	return fault.Of(d.node.placed(err, component))
}
