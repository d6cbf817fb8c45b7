package session

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// Actor returns who this command claims to act for.
func (s *Session) Actor() fleet.Actor {
	who, from := s.Identity()
	return fleet.Actor{Who: who, From: from, Claimed: true}
}

// signing is the interceptor through which every change of a command goes: it adds who
// asks for it, and records in the audit what is not a workflow of its own.
type signing struct {
	interceptor.ClientInterceptorBase
	actor fleet.Actor
	// client is the client that makes these calls, once it is connected.
	client client.Client
}

func (s *signing) InterceptClient(next interceptor.ClientOutboundInterceptor) interceptor.ClientOutboundInterceptor {
	return &signed{interceptor.ClientOutboundInterceptorBase{Next: next}, s}
}

type signed struct {
	interceptor.ClientOutboundInterceptorBase
	*signing
}

// ExecuteWorkflow starts a workflow; one of an action gets the actor with it.
func (s *signed) ExecuteWorkflow(ctx context.Context, in *interceptor.ClientExecuteWorkflowInput) (client.WorkflowRun, error) {
	if workflows.IsAudited(in.WorkflowType) {
		payload, err := converter.GetDefaultDataConverter().ToPayload(s.actor)
		if err != nil {
			return nil, fmt.Errorf("say who asks: %w", err)
		}
		interceptor.Header(ctx)[workflows.HeaderActor] = payload
	}
	return s.Next.ExecuteWorkflow(ctx, in)
}

// CancelWorkflow cancels a workflow. Cancelling one that only reads is not an action.
func (s *signed) CancelWorkflow(ctx context.Context, in *interceptor.ClientCancelWorkflowInput) error {
	action, ok := workflows.CancelOf(in.WorkflowID)
	if !ok {
		return s.Next.CancelWorkflow(ctx, in)
	}
	entry := fleet.AuditEntry{Key: "cancel/" + Nonce(), Actor: s.actor, Action: action, WorkflowID: in.WorkflowID, RunID: in.RunID}
	if err := s.record(ctx, entry); err != nil { // first: what cannot be recorded cannot be cancelled either
		return err
	}
	err := s.Next.CancelWorkflow(ctx, in)
	entry.Outcome = string(workflows.Succeeded)
	if err != nil {
		entry.Outcome, entry.Error = string(workflows.Failed), err.Error()
	}
	_ = s.record(ctx, entry) // the action is in the audit; without its outcome, as one that did not come back
	return err
}

// record starts the workflow that adds an entry to the audit.
func (s *signed) record(ctx context.Context, entry fleet.AuditEntry) error {
	phase := "begun"
	if entry.Ended() {
		phase = "ended"
	}
	_, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.RecordAuditID(entry.Key, phase), TaskQueue: workflows.Queue, StaticSummary: "add to the audit: " + entry.Verb,
	}, workflows.RecordAuditName, workflows.RecordAuditInput{Entries: []fleet.AuditEntry{entry}})
	return err
}
