package law

import (
	"context"
	"strings"

	"go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	history "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// histories are the rules for reading a history. Nodes and edges read how their own
// announcements have ended, and no history.
func histories() map[identity.Role]rule {
	asked := only("namespace", "execution.workflow_id", "execution.run_id", "maximum_page_size", "next_page_token",
		"wait_new_event", "history_event_filter_type", "skip_archival")
	row := rule{fields: asked, judge: readsHistory, answer: wrapsPage}.to(append(people, identity.Control)...)
	for role, own := range (rule{fields: asked, judge: awaitsItself, answer: lastEvent}).to(identity.Node, identity.Edge) {
		row[role] = own
	}
	return row
}

func readsHistory(ctx context.Context, c *call) error {
	if err := unwrapsPage(ctx, c); err != nil {
		return err
	}
	return c.mayRead(ctx, c.req.(*workflowservice.GetWorkflowExecutionHistoryRequest).GetExecution())
}

func readsWorkflow(ctx context.Context, c *call) error {
	return c.mayRead(ctx, c.req.(*workflowservice.DescribeWorkflowExecutionRequest).GetExecution())
}

// awaitsItself permits a node or an edge to wait for the end of what it has started itself.
func awaitsItself(ctx context.Context, c *call) error {
	in := c.req.(*workflowservice.GetWorkflowExecutionHistoryRequest)
	if err := unwrapsPage(ctx, c); err != nil {
		return err
	}
	if in.GetHistoryEventFilterType() != enums.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT {
		return c.refused(NotPermitted, "the role %s reads no histories", c.caller.Role)
	}
	id := in.GetExecution().GetWorkflowId()
	if !ownAnnouncement(c.caller, id) {
		return c.refused(ForeignWorkflow, "workflow %.120q is not its own", id)
	}
	return nil
}

// ownAnnouncement reports whether a workflow is one that the node or edge starts.
func ownAnnouncement(of identity.Identity, id string) bool {
	switch of.Role {
	case identity.Node:
		return id == tend.NodeID(of.Name) || strings.HasPrefix(id, "claim/"+of.Name+"/")
	case identity.Edge:
		return strings.HasPrefix(id, tend.AnnouncementID(of.Name, "")) || strings.HasPrefix(id, tend.EdgeStorageID(of.Name, ""))
	}
	return false
}

// lastEvent keeps only the event of a history that ends the workflow.
func lastEvent(c *call, answer proto.Message) error {
	in := answer.(*workflowservice.GetWorkflowExecutionHistoryResponse)
	in.RawHistory = nil
	var kept []*history.HistoryEvent
	for _, event := range in.GetHistory().GetEvents() {
		if ends(event) {
			kept = append(kept, event)
		}
	}
	in.History = &history.History{Events: kept}
	return wrapsPage(c, answer)
}

func ends(event *history.HistoryEvent) bool {
	switch event.GetEventType() {
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT, enums.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
		return true
	}
	return false
}

// place is what a workflow's id says of it.
type place struct {
	service string
	// read is set for a workflow that only reads: it belongs to the caller that started it.
	read bool
	// secret is set for a workflow about a secret.
	secret bool
	// cancel is set for a workflow that may be cancelled.
	cancel bool
}

// placeOf returns what an id says; ok is false for an id that people's commands do not
// follow.
func placeOf(id string) (p place, ok bool) {
	family, rest, _ := strings.Cut(id, "/")
	service, _, _ := strings.Cut(rest, "/")
	switch family {
	case "read":
		return place{read: true, cancel: true}, true
	case "deploy", "build":
		return place{service: rest, cancel: true}, rest != "" && rest == service
	case "job":
		return place{service: service, cancel: true}, service != ""
	case "mend", "maintain", "pause":
		return place{service: service}, service != ""
	case "secret", "rotate":
		return place{service: service, secret: true}, service != ""
	}
	return place{}, false
}

// mayRead permits operators and control workers everything, and others what belongs to
// their services, and what they have asked for themselves.
func (c *call) mayRead(ctx context.Context, of *common.WorkflowExecution) error {
	if c.caller.Role == identity.Operator || c.caller.Role == identity.Control {
		return nil
	}
	p, ok := placeOf(of.GetWorkflowId())
	switch {
	case !ok:
		return c.refused(ForeignWorkflow, "workflow %.120q is not for the role %s", of.GetWorkflowId(), c.caller.Role)
	case p.read:
		return c.owns(ctx, of)
	case p.secret && !c.caller.Has(identity.Secrets):
		return c.refused(NotGranted, "workflow %.120q is of a secret", of.GetWorkflowId())
	}
	return c.mayUse(p.service)
}

func (c *call) mayUse(service string) error {
	if c.caller.MayUse(service) {
		return nil
	}
	return c.refused(ForeignService, "service %.80q is not one of its own", service)
}

// memoCaller is the key of the memo that says who has started a workflow. Only the door
// writes it.
const memoCaller = "mcp-caller"

// owns permits a run that the caller has started, and names the run, so that another one
// of the same id is not read in its place.
func (c *call) owns(ctx context.Context, of *common.WorkflowExecution) error {
	if c.law.owners.has(c.caller, of.GetWorkflowId(), of.GetRunId()) {
		return nil
	}
	described, err := c.law.workflows.DescribeWorkflowExecution(outgoing(ctx), &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: c.law.namespace, Execution: of,
	})
	if err != nil {
		return err // as Temporal gave it
	}
	owner := ""
	if payload, ok := described.GetWorkflowExecutionInfo().GetMemo().GetFields()[memoCaller]; ok {
		_ = converter.GetDefaultDataConverter().FromPayload(payload, &owner) // an unreadable one is none
	}
	if owner != c.caller.String() {
		return c.refused(ForeignWorkflow, "workflow %.120q was started by another", of.GetWorkflowId())
	}
	of.RunId = described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	c.law.owners.add(c.caller, of.GetWorkflowId(), of.GetRunId())
	return nil
}

// cancels permits the caller to cancel what it may change.
func cancels(ctx context.Context, c *call) error {
	of := c.req.(*workflowservice.RequestCancelWorkflowExecutionRequest).GetWorkflowExecution()
	p, ok := placeOf(of.GetWorkflowId())
	switch {
	case c.caller.Role == identity.Control:
		if !ok || !strings.HasPrefix(of.GetWorkflowId(), "job/") {
			return c.refused(ForeignWorkflow, "workflow %.120q is not the run of a job", of.GetWorkflowId())
		}
		return nil
	case !ok || !p.cancel:
		return c.refused(ForeignWorkflow, "workflow %.120q is not one that is cancelled", of.GetWorkflowId())
	case p.read && c.caller.Role != identity.Operator:
		return c.owns(ctx, of)
	case p.read:
		return nil
	case c.caller.Role == identity.Reader:
		return c.refused(NotPermitted, "a reader cancels nothing but its own reads")
	}
	if err := c.mayUse(p.service); err != nil {
		return err
	}
	if err := c.auditCancel(ctx, false, nil); err != nil {
		return err
	}
	c.after = func(ctx context.Context, failed error) {
		if err := c.auditCancel(ctx, true, failed); err != nil {
			c.law.log.Warn("the audit has a cancel without its outcome", "caller", c.caller.String(), "workflow", of.GetWorkflowId(), "error", err)
		}
	}
	return nil
}

// signals permits the signal that a secret's old value is revoked.
func signals(_ context.Context, c *call) error {
	in := c.req.(*workflowservice.SignalWorkflowExecutionRequest)
	return c.rotation(in.GetWorkflowExecution().GetWorkflowId(), in.GetSignalName() == workflows.SignalRevoked, "signal "+in.GetSignalName())
}

// queries permits the query for the state of a rotation.
func queries(_ context.Context, c *call) error {
	in := c.req.(*workflowservice.QueryWorkflowRequest)
	kind := in.GetQuery().GetQueryType()
	return c.rotation(in.GetExecution().GetWorkflowId(), kind == workflows.QueryRotation, "query "+kind)
}

func (c *call) rotation(id string, known bool, what string) error {
	p, ok := placeOf(id)
	switch {
	case !ok || !strings.HasPrefix(id, "rotate/"):
		return c.refused(ForeignWorkflow, "workflow %.120q takes no signals and no queries", id)
	case !known:
		return c.refused(NotPermitted, "the %.80q is not one of mcp's", what)
	case !c.caller.Has(identity.Secrets):
		return c.refused(NotGranted, "workflow %.120q is of a secret", id)
	}
	return c.mayUse(p.service)
}
