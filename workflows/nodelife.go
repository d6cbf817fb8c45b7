package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// ClaimNode decides whether a machine may have a node's name, before its worker
// polls the node's queue: two that did would share its tasks. One that may not
// is a Conflict.
func ClaimNode(ctx workflow.Context, in fleet.Claim) error {
	for {
		var result fleet.ClaimResult
		step := controlStep(ctx, "claim node "+in.Node, 0)
		if err := workflow.ExecuteActivity(step, control.ClaimNode, in).Get(ctx, &result); err != nil {
			return err
		}
		switch result.Verdict {
		case fleet.ClaimGranted:
			return nil
		case fleet.ClaimRefused:
			return refusal(held(in, result.Holder))
		}
		var answer fleet.Answer
		err := workflow.ExecuteActivity(askStep(ctx, in.Node), node.Identify).Get(ctx, &answer)
		switch {
		case isCancelled(err):
			return err
		case err == nil && answer.Rivals(in):
			return refusal(served(in, answer))
		}
		in.Silent = &result.Holder.Machine
	}
}

// askStep asks who polls a node's queue. It is asked twice: the first question
// may go to a worker that died without a word.
func askStep(ctx workflow.Context, name string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(name),
		ScheduleToStartTimeout: nodeSilence,
		StartToCloseTimeout:    nodeSilence,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 2},
		Summary:                "ask who serves " + name,
	})
}

// refusal ends the workflow with a fault.
func refusal(f *fault.Error) error { return failure(Failed, f, struct{}{}) }

// held says of a name that it is another machine's.
func held(in fleet.Claim, h fleet.Holder) *fault.Error {
	f := fault.New(fault.Conflict, "the name %s belongs to another machine, %s, since %s; %s",
		in.Node, called(h.Machine, h.Address), h.Since.UTC().Format(time.RFC3339), answered(h.Answered)).
		WithHint("give this worker a name of its own; if that machine is gone for good, free the name: mcp node remove %s", in.Node)
	f.Node = in.Node
	return f
}

// served says of a name that another worker answers for it, although the name
// is nobody's, or that of this very machine before it was booted.
func served(in fleet.Claim, a fleet.Answer) *fault.Error {
	f := fault.New(fault.Conflict, "a worker on another machine, %s, serves node %s", called(a.Machine, a.Address), in.Node).
		WithHint("stop that worker, or give this one a name of its own")
	if a.Machine.ID == in.Machine.ID {
		f = f.WithHint("the two machines have one identity, as clones do: give one of them its own (see [node] machine in mcp.toml), and a name of its own")
	}
	f.Node = in.Node
	return f
}

// called is how a person finds a machine.
func called(m fleet.Machine, address string) string {
	return fmt.Sprintf("host %s (%s) with routes on %s", m.Hostname, m.ID, address)
}

func answered(last time.Time) string {
	if last.IsZero() {
		return "no look has found it yet"
	}
	return "it last answered at " + last.UTC().Format(time.RFC3339)
}

// DrainInput says whether a node gets no new container.
type DrainInput = activities.SetDrainingInput

// DrainResult is what should run on the node all the same.
type DrainResult = activities.SetDrainingResult

// DrainNode keeps new containers from a node, or lets them come again.
func DrainNode(ctx workflow.Context, in DrainInput) (*DrainResult, error) {
	result := &DrainResult{}
	step := controlStep(ctx, "record whether "+in.Node+" is draining", readDeadline)
	if err := workflow.ExecuteActivity(step, control.SetDraining, in).Get(ctx, result); err != nil {
		return nil, readFailure(err)
	}
	return result, nil
}

// RemoveNode forgets a node that nothing should run on: it is looked at no more.
func RemoveNode(ctx workflow.Context, name string) error {
	step := controlStep(ctx, "remove "+name, readDeadline)
	err := workflow.ExecuteActivity(step, control.RemoveNode, activities.RemoveNodeInput{Node: name}).Get(ctx, nil)
	if err != nil {
		return readFailure(err)
	}
	return nil
}
