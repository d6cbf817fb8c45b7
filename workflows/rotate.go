package workflows

import (
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// RotateSecretInput is the new version of a secret.
type RotateSecretInput struct {
	secrets.Addition
	// Former is the number of the version that it follows.
	Former int `json:"former"`
	// Revoke is set if the old value is revoked afterwards: the rotation lasts until
	// SignalRevoked says that this is done.
	Revoke bool `json:"revoke,omitempty"`
	// Deadline is how long to wait for what is down; DefaultDeadline if zero.
	Deadline time.Duration `json:"deadline,omitempty"`
}

// Rotation is what has become of a rotation.
type Rotation struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Version int    `json:"version"`
	Former  int    `json:"former"`
	// Deployment is the one that has brought the new version to what needs it.
	Deployment int `json:"deployment,omitempty"`
	// Components are those that got it.
	Components []string `json:"components,omitempty"`
	// Healthy is set when all that has the secret runs with the new version, and is healthy.
	Healthy bool `json:"healthy"`
	// Revoking is set while it waits for the old value to be revoked.
	Revoking bool `json:"revoking,omitempty"`
	// Revoked is set if the command has revoked the old value.
	Revoked bool `json:"revoked"`
}

// QueryRotation returns the Rotation of a rotation that is under way.
const QueryRotation = "rotation"

// SignalRevoked ends a rotation whose old value has been revoked.
const SignalRevoked = "revoked"

// revokePatience is how long a rotation waits until the old value is revoked.
const revokePatience = 30 * 24 * time.Hour

// RotateSecret records a new version of a secret, and deploys what has the secret with it.
// If that fails, the release is put back, the old value is not revoked, and the new
// version is withdrawn: the next deploy has the old one. The command that revokes the old
// value runs where the operator is, who has the rights for it: the workflow waits for the
// signal that this has succeeded, and meanwhile keeps another rotation from beginning.
func RotateSecret(ctx workflow.Context, in RotateSecretInput) (*Rotation, error) {
	if in.Deadline <= 0 {
		in.Deadline = DefaultDeadline
	}
	ref := in.Envelope.Ref
	r := &Rotation{Service: ref.Service, Name: ref.Name, Version: ref.Version, Former: in.Former}
	if err := workflow.SetQueryHandler(ctx, QueryRotation, func() (Rotation, error) { return *r, nil }); err != nil {
		return nil, err
	}
	if err := call.ControlSend(ctx, "record "+ref.String(), in.Deadline, control.AddSecret, in.Addition); err != nil {
		return nil, rotationFailure(err, *r)
	}
	result, err := r.deploy(ctx, in)
	if err != nil {
		return nil, r.withdraw(ctx, ref, err)
	}
	r.Deployment, r.Healthy = result.Deployment, true
	for _, c := range result.Components {
		if c.Action != plan.Keep {
			r.Components = append(r.Components, c.Name)
		}
	}
	if !in.Revoke {
		return r, nil
	}
	r.Revoking = true
	received, _ := workflow.GetSignalChannel(ctx, SignalRevoked).ReceiveWithTimeout(ctx, revokePatience, nil)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.Revoking = false
	if r.Revoked = received; received {
		return r, nil
	}
	return nil, rotationFailure(fault.New(fault.Unavailable, "%s runs everywhere, and version %d was not revoked within %d days", ref, in.Former, int(revokePatience.Hours()/24)).
		WithHint("revoke the old value by hand"), *r)
}

// deploy deploys the release with the new version. A deploy that is under way is waited
// for.
func (r *Rotation) deploy(ctx workflow.Context, rotation RotateSecretInput) (*Result, error) {
	in := DeployInput{
		Verb: fleet.VerbRotate, Definition: servicedef.Service{Name: r.Service}, Secret: r.Name, Deadline: rotation.Deadline,
		Who: rotation.Who, From: rotation.From,
	}
	child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: DeployID(r.Service), StaticSummary: in.Summary(), Memo: in.Memo(), TypedSearchAttributes: in.Attributes(),
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON, WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	})
	deadline := workflow.Now(ctx).Add(rotation.Deadline)
	for pause := call.LockPause; ; pause = min(2*pause, longestLockPause) {
		var result Result
		err := workflow.ExecuteChildWorkflow(child, DeployName, in).Get(ctx, &result)
		if err == nil {
			return &result, nil
		}
		if !errors.As(err, new(*temporal.ChildWorkflowExecutionAlreadyStartedError)) {
			return nil, err
		}
		if workflow.Now(ctx).After(deadline) {
			return nil, fault.New(fault.Conflict, "another deploy of %s has been under way for %s", r.Service, rotation.Deadline)
		}
		if err := workflow.Sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// longestLockPause is the longest time before a rotation asks again for the lock of its
// service.
const longestLockPause = 30 * time.Second

// withdraw takes the new version back after a deploy that has failed for cause.
func (r *Rotation) withdraw(ctx workflow.Context, ref secrets.Ref, cause error) error {
	f := *attempt.FaultOf(cause)
	if call.IsCancelled(cause) {
		f = *fault.New(fault.Conflict, "the rotation of %s/%s was cancelled", r.Service, r.Name)
	}
	detached, _ := workflow.NewDisconnectedContext(ctx)
	err := call.ControlSend(detached, "withdraw "+ref.String(), 0, control.WithdrawSecret, oncontrol.WithdrawSecretInput{Ref: ref})
	if err != nil {
		f.Hint = "version " + ref.String() + " could not be withdrawn: the next deploy has it. " + f.Hint
	}
	return rotationFailure(&f, *r)
}

// rotationFailure is the error of a rotation, with what has become of it.
func rotationFailure(err error, r Rotation) error {
	return failure(Failed, attempt.FaultOf(err), r)
}
