package tend

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// ClaimNode decides whether a machine may have a node's name, before its worker polls
// the node's queue: two workers that did would share its tasks. A refusal is a
// Conflict.
func ClaimNode(ctx workflow.Context, in fleet.Claim) error {
	for {
		var result fleet.ClaimResult
		step := call.ControlStep(ctx, "claim node "+in.Node, 0)
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
		err := workflow.ExecuteActivity(identifyStep(ctx, in.Node), node.Identify).Get(ctx, &answer)
		switch {
		case call.IsCancelled(err):
			return err
		case err == nil && answer.Rivals(in):
			return refusal(served(in, answer))
		}
		in.Silent = &result.Holder.Machine
		if call.Spent(ctx) {
			return workflow.NewContinueAsNewError(ctx, ClaimNodeName, in)
		}
	}
}

// identifyStep asks for the machine whose worker polls a node's queue. There are two
// attempts: the first may go to a worker that has just died.
func identifyStep(ctx workflow.Context, name string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(name),
		ScheduleToStartTimeout: call.NodeTimeout,
		StartToCloseTimeout:    call.NodeTimeout,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 2},
		Summary:                "identify the worker of " + name,
	})
}

// refusal ends the workflow with a fault.
func refusal(f *fault.Error) error { return call.FailureWith(f, struct{}{}) }

// held is the fault of a name that another machine holds.
func held(in fleet.Claim, h fleet.Holder) *fault.Error {
	f := fault.New(fault.Conflict, "the name %s belongs to another machine, %s, since %s; %s",
		in.Node, called(h.Machine, h.Address), h.Since.UTC().Format(time.RFC3339), answered(h.Answered)).
		WithHint("give this worker another name; if that machine is gone for good, free the name: mcp node remove %s", in.Node)
	f.Node = in.Node
	return f
}

// served is the fault of a name for which another worker answers, although the name
// is unclaimed, or this very machine's before its boot.
func served(in fleet.Claim, a fleet.Answer) *fault.Error {
	f := fault.New(fault.Conflict, "a worker on another machine, %s, serves node %s", called(a.Machine, a.Address), in.Node).
		WithHint("stop that worker, or give this one another name")
	if a.Machine.ID == in.Machine.ID {
		f = f.WithHint("the two machines have one identity, as clones do: give one of them another (see [node] machine in mcp.toml), and another name")
	}
	f.Node = in.Node
	return f
}

// called describes a machine so that an operator finds it.
func called(m fleet.Machine, address string) string {
	return fmt.Sprintf("host %s (%s) with routes on %s", m.Hostname, m.ID, address)
}

func answered(last time.Time) string {
	if last.IsZero() {
		return "it has not answered yet"
	}
	return "it last answered at " + last.UTC().Format(time.RFC3339)
}

// DrainInput names a node, and whether it gets no new containers.
type DrainInput = oncontrol.SetDrainingInput

// DrainResult is the services whose containers stay on the node.
type DrainResult = oncontrol.SetDrainingResult

// DrainNode keeps new containers from a node, or allows them again.
func DrainNode(ctx workflow.Context, in DrainInput) (*DrainResult, error) {
	result := &DrainResult{}
	step := call.ControlStep(ctx, "record whether "+in.Node+" is draining", call.ReadTimeout)
	if err := workflow.ExecuteActivity(step, control.SetDraining, in).Get(ctx, result); err != nil {
		return nil, call.Failure(err)
	}
	return result, nil
}

// RemoveResult reports whether any record named the node.
type RemoveResult = oncontrol.RemoveNodeResult

// RemoveNode forgets a node on which no container should run: it is not observed any
// more, and no service has anything on it.
func RemoveNode(ctx workflow.Context, name string) (*RemoveResult, error) {
	result := &RemoveResult{}
	step := call.ControlStep(ctx, "remove "+name, call.ReadTimeout)
	err := workflow.ExecuteActivity(step, control.RemoveNode, oncontrol.RemoveNodeInput{Node: name}).Get(ctx, result)
	if err != nil {
		return nil, call.Failure(err)
	}
	return result, nil
}
