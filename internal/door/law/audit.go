package law

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/workflows"
)

// cancelKey is the key of a cancel in the audit. A request that is repeated has the same.
func cancelKey(in *workflowservice.RequestCancelWorkflowExecutionRequest) string {
	of := in.GetWorkflowExecution()
	sum := sha256.Sum256([]byte(strings.Join([]string{of.GetWorkflowId(), of.GetRunId(), in.GetRequestId()}, "\x00")))
	return "cancel/" + hex.EncodeToString(sum[:16])
}

// auditCancel adds a cancel to the audit, before it is asked for and after it: what cannot
// be recorded cannot be cancelled either. A cancel is not a workflow, which would record
// itself. Failed is how it has ended, once it has.
func (c *call) auditCancel(ctx context.Context, ended bool, failed error) error {
	in := c.req.(*workflowservice.RequestCancelWorkflowExecutionRequest)
	action, ok := workflows.CancelOf(in.GetWorkflowExecution().GetWorkflowId())
	if !ok {
		return nil
	}
	entry := fleet.AuditEntry{
		Key: cancelKey(in), Actor: fleet.Actor{Who: c.caller.String()}, Action: action,
		WorkflowID: in.GetWorkflowExecution().GetWorkflowId(), RunID: in.GetWorkflowExecution().GetRunId(),
	}
	if ended {
		entry.Outcome = string(workflows.Succeeded)
		if failed != nil {
			entry.Outcome, entry.Error = string(workflows.Failed), failed.Error()
		}
	}
	if err := c.record(ctx, entry); err != nil {
		return fmt.Errorf("add the cancel to the audit: %w", err)
	}
	return nil
}

// Record adds to the audit what the caller in a context does at the door itself, such as a
// stream: that it begins, or how it has ended.
func (l *Law) Record(ctx context.Context, entry fleet.AuditEntry) error {
	caller, ok := identity.FromContext(ctx)
	if !ok {
		return fault.New(fault.Internal, "nothing says who asks for %s", entry.Verb)
	}
	c := &call{law: l, caller: caller}
	entry.Actor = fleet.Actor{Who: caller.String()}
	return c.record(ctx, entry)
}

// record starts the workflow that adds an entry to the audit, and tries until it succeeds.
func (c *call) record(ctx context.Context, entry fleet.AuditEntry) error {
	phase := "begun"
	if entry.Ended() {
		phase = "ended"
	}
	id := workflows.RecordAuditID(entry.Key, phase)
	payload, err := encode(workflows.RecordAuditInput{Entries: []fleet.AuditEntry{entry}})
	if err != nil {
		return err
	}
	start := &workflowservice.StartWorkflowExecutionRequest{
		Namespace: c.law.namespace, WorkflowId: id, WorkflowType: &common.WorkflowType{Name: workflows.RecordAuditName},
		TaskQueue: &taskqueue.TaskQueue{Name: workflows.Queue}, Input: &common.Payloads{Payloads: []*common.Payload{payload}},
		Identity: c.caller.String(), RequestId: id,
	}
	if start.Header, err = c.header(start); err != nil {
		return err
	}
	_, err = c.law.workflows.StartWorkflowExecution(outgoing(ctx), start)
	return err
}
