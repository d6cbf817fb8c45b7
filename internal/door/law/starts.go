package law

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/workflows"
)

// start has the fields that the request of a start may have. The memo, the search
// attributes and the headers are rebuilt, and what the SDK asks for by default is left to
// Temporal.
var start = only("namespace", "workflow_id", "workflow_type.name", "task_queue.name", "task_queue.kind", "input.*",
	"workflow_execution_timeout.*", "-workflow_task_timeout", "identity", "request_id", "workflow_id_reuse_policy",
	"workflow_id_conflict_policy", "-memo", "-search_attributes", "header.*", "-request_eager_execution",
	"user_metadata.summary.*", "user_metadata.details.*")

const (
	// longest bounds how long a workflow that only reads, or changes a record, may run.
	longest = 7 * 24 * time.Hour
	// maxSummary and maxDetails bound what a client says of a workflow, in bytes.
	maxSummary = 1 << 10
	maxDetails = 32 << 10
	// maxID bounds the id of a workflow, in bytes.
	maxID = 500
)

// starts judges a start, and rebuilds its request.
func starts(_ context.Context, c *call) error {
	in := c.req.(*workflowservice.StartWorkflowExecutionRequest)
	kind, ok := startable[in.GetWorkflowType().GetName()]
	if !ok {
		return c.refused(NotPermitted, "the gateway does not know workflow type %.80q as one that is started here", in.GetWorkflowType().GetName()).
			hint("%s", c.upgrade("starts it"))
	}
	if !kind.isFor(c.caller.Role) {
		return c.refused(NotPermitted, "workflow type %.80q is not started by the role %s", in.GetWorkflowType().GetName(), c.caller.Role)
	}
	if in.GetTaskQueue().GetName() != workflows.Queue || in.GetTaskQueue().GetKind() == enums.TASK_QUEUE_KIND_STICKY {
		return c.refused(ForeignQueue, "workflows are started on the queue %s alone", workflows.Queue).hint("use mcp's command line, which names it")
	}
	about, payloads, err := kind.read(c, in.GetInput())
	if err != nil {
		return err
	}
	if err := c.judgeStart(in, kind, about); err != nil {
		return err
	}
	if err := c.rewriteStart(in, about, payloads); err != nil {
		return err
	}
	if about.instead != nil {
		c.reply = about.instead
	}
	c.started = &startedRun{c.caller.String(), in.GetWorkflowId(), ""}
	return nil
}

// judgeStart judges what a start is about, its id and how it deals with an existing run.
func (c *call) judgeStart(in *workflowservice.StartWorkflowExecutionRequest, kind startKind, about subject) error {
	id := in.GetWorkflowId()
	switch {
	case len(id) > maxID || !about.has(id):
		return c.refused(ForeignWorkflow, "the id %.120q is not that of a %s with this input", id, in.GetWorkflowType().GetName())
	case about.own != "" && about.own != c.caller.Name:
		return c.refused(ForeignWorkflow, "its input names %s %.80q, which is another", c.caller.Role, about.own)
	case about.grant != "" && !c.caller.Has(about.grant):
		return c.refused(NotGranted, "%s takes the grant %q", in.GetWorkflowType().GetName(), about.grant)
	case about.every && !c.caller.MayUse(identity.AllServices):
		return c.refused(ForeignService, "it is about every service").hint("name the services in the command")
	case about.refuse != "":
		return c.refused(ForbiddenField, "%s", about.refuse)
	}
	for _, service := range about.services {
		if service == "" || strings.Contains(service, "/") {
			return c.refused(Unreadable, "%.80q is not the name of a service", service)
		}
		if err := c.mayUse(service); err != nil {
			return err
		}
	}
	return c.judgePolicies(in, kind)
}

func (c *call) judgePolicies(in *workflowservice.StartWorkflowExecutionRequest, kind startKind) error {
	switch policy := in.GetWorkflowIdConflictPolicy(); {
	case policy == enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING && !kind.announces:
		return c.refused(ForbiddenField, "a start that terminates the workflow that is there is not allowed: nothing would be put back").
			hint("cancel it: mcp cancel SERVICE")
	case policy > enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING:
		return c.refused(ForbiddenField, "the policy %s for a workflow that is there is not allowed", policy)
	}
	switch policy := in.GetWorkflowIdReusePolicy(); policy {
	case enums.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED, enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE:
	default:
		return c.refused(ForbiddenField, "the policy %s for an id that was used is not allowed", policy)
	}
	timeout := in.GetWorkflowExecutionTimeout().AsDuration()
	switch {
	case timeout < 0 || timeout > longest:
		return c.refused(ForbiddenField, "a timeout of %s is not allowed", timeout)
	case timeout > 0 && kind.lasts:
		return c.refused(ForbiddenField, "a timeout of the whole workflow is not allowed: nothing would be put back").
			hint("use --deadline")
	}
	return nil
}

// rewriteStart rebuilds what is passed on, with the input that was judged.
func (c *call) rewriteStart(in *workflowservice.StartWorkflowExecutionRequest, about subject, payloads *common.Payloads) error {
	header, err := c.header(in)
	if err != nil {
		return err
	}
	memo := map[string]any{memoCaller: c.caller.String()}
	for key, value := range about.memo {
		memo[key] = value
	}
	in.Memo = &common.Memo{Fields: map[string]*common.Payload{}}
	for key, value := range memo {
		if in.Memo.Fields[key], err = encode(value); err != nil {
			return err
		}
	}
	if in.SearchAttributes, err = attributes(about); err != nil {
		return err
	}
	in.Header, in.Input = header, payloads
	in.TaskQueue.Kind = enums.TASK_QUEUE_KIND_NORMAL
	if in.GetWorkflowExecutionTimeout().AsDuration() == 0 {
		in.WorkflowExecutionTimeout = durationpb.New(0)
	}
	in.UserMetadata = bounded(in.GetUserMetadata())
	return nil
}

// header returns the headers of a workflow: who asks for it, as its certificate has it, and
// the door's signature of that. A client says only from which machine.
func (c *call) header(in *workflowservice.StartWorkflowExecutionRequest) (*common.Header, error) {
	var claimed fleet.Actor
	if payload := in.GetHeader().GetFields()[workflows.HeaderActor]; payload != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(payload, &claimed) // one that cannot be read says nothing
	}
	for name := range in.GetHeader().GetFields() {
		if name != workflows.HeaderActor {
			return nil, c.refused(ForbiddenField, "the header %.80q is not allowed", name).hint("the gateway says by itself who asks")
		}
	}
	if len(claimed.From) > maxIdentity || strings.ContainsFunc(claimed.From, func(r rune) bool { return r < ' ' }) {
		claimed.From = ""
	}
	actor, err := encode(fleet.Actor{Who: c.caller.String(), From: claimed.From})
	if err != nil {
		return nil, err
	}
	signature, err := encode(c.law.signer.Sign(in.GetWorkflowId(), in.GetWorkflowType().GetName(), actor.GetData()))
	if err != nil {
		return nil, err
	}
	return &common.Header{Fields: map[string]*common.Payload{workflows.HeaderActor: actor, workflows.HeaderDoor: signature}}, nil
}

func encode(value any) (*common.Payload, error) {
	return converter.GetDefaultDataConverter().ToPayload(value)
}

// attributes are the search attributes of a workflow that is about a service.
func attributes(about subject) (*common.SearchAttributes, error) {
	if !about.searchable || len(about.services) != 1 {
		return nil, nil
	}
	fields := map[string]*common.Payload{}
	add := func(name string, kind enums.IndexedValueType, value any) error {
		payload, err := encode(value)
		if err != nil {
			return err
		}
		payload.Metadata["type"] = []byte(kind.String())
		fields[name] = payload
		return nil
	}
	if err := add(workflows.SearchService.GetName(), workflows.SearchService.GetValueType(), about.services[0]); err != nil {
		return nil, err
	}
	if len(about.nodes) > 0 {
		if err := add(workflows.SearchNode.GetName(), workflows.SearchNode.GetValueType(), about.nodes); err != nil {
			return nil, err
		}
	}
	return &common.SearchAttributes{IndexedFields: fields}, nil
}

// bounded leaves out what a client says of a workflow if that is too long.
func bounded(said *sdk.UserMetadata) *sdk.UserMetadata {
	if said == nil {
		return nil
	}
	kept := &sdk.UserMetadata{Summary: said.GetSummary(), Details: said.GetDetails()}
	if len(kept.GetSummary().GetData()) > maxSummary {
		kept.Summary = nil
	}
	if len(kept.GetDetails().GetData()) > maxDetails {
		kept.Details = nil
	}
	return kept
}

// started keeps of the answer what a client needs, without a task that comes with it.
func started(_ *call, answer proto.Message) error {
	answer.(*workflowservice.StartWorkflowExecutionResponse).EagerWorkflowTask = nil
	return nil
}

// noncePattern matches the end of an id, which makes it unique.
var noncePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z]{8,64}$`) })

// readPattern matches the id of a workflow that reads.
var readPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^read/[a-z][a-z -]{0,40}/[0-9A-Za-z]{8,64}$`) })

// subject is what a start is about, according to its input.
type subject struct {
	// id is the id of its workflow; prefix is the beginning of an id that ends with a
	// nonce; reads reports whether the id is that of a workflow that reads.
	id, prefix string
	reads      bool
	// services are the services that it concerns; every reports whether these are all.
	services []string
	every    bool
	// nodes are the nodes that it names; searchable reports whether services and nodes are
	// search attributes.
	nodes      []string
	searchable bool
	// own is the name of the node or edge that it is for; it must be the caller's.
	own string
	// grant is the right that it takes; "" for none.
	grant identity.Grant
	// refuse is why the input is not allowed; "" if it is.
	refuse string
	// memo is what clients read of it without its history.
	memo map[string]any
	// instead is an answer that is given without starting it; nil to start it.
	instead proto.Message
}

func (s subject) has(id string) bool {
	switch {
	case s.reads:
		return readPattern().MatchString(id)
	case s.prefix != "":
		nonce, ok := strings.CutPrefix(id, s.prefix)
		return ok && noncePattern().MatchString(nonce)
	}
	return s.id != "" && id == s.id
}
