package threat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/query/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/worker/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// misuse is something that an identity must not do.
type misuse struct {
	who  identity.Identity
	what string
	do   func(context.Context, workflowservice.WorkflowServiceClient) error
}

// starting is a start, as the SDK makes it.
func starting(id, kind string, input any, change ...func(*workflowservice.StartWorkflowExecutionRequest)) *workflowservice.StartWorkflowExecutionRequest {
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(input)
	if err != nil {
		panic(err)
	}
	in := &workflowservice.StartWorkflowExecutionRequest{
		Namespace: doorNamespace, WorkflowId: id, WorkflowType: &common.WorkflowType{Name: kind}, RequestId: fmt.Sprint(time.Now().UnixNano()),
		TaskQueue: &taskqueue.TaskQueue{Name: workflows.Queue}, Input: payloads,
	}
	for _, c := range change {
		c(in)
	}
	return in
}

func starts(in *workflowservice.StartWorkflowExecutionRequest) func(context.Context, workflowservice.WorkflowServiceClient) error {
	return func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.StartWorkflowExecution(ctx, in)
		return err
	}
}

func polls(queue string, kind enums.TaskQueueKind) func(context.Context, workflowservice.WorkflowServiceClient) error {
	return func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{
			Namespace: doorNamespace, TaskQueue: &taskqueue.TaskQueue{Name: queue, Kind: kind},
		})
		return err
	}
}

func pollsWorkflows(queue *taskqueue.TaskQueue) func(context.Context, workflowservice.WorkflowServiceClient) error {
	return func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.PollWorkflowTaskQueue(ctx, &workflowservice.PollWorkflowTaskQueueRequest{Namespace: doorNamespace, TaskQueue: queue})
		return err
	}
}

func readsHistory(id, run string, filter enums.HistoryEventFilterType, token ...byte) func(context.Context, workflowservice.WorkflowServiceClient) error {
	return func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{
			Namespace: doorNamespace, Execution: &common.WorkflowExecution{WorkflowId: id, RunId: run}, HistoryEventFilterType: filter, NextPageToken: token,
		})
		return err
	}
}

const (
	allEvents = enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT
	lastEvent = enums.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT
)

func describes(id string) func(context.Context, workflowservice.WorkflowServiceClient) error {
	return func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
			Namespace: doorNamespace, Execution: &common.WorkflowExecution{WorkflowId: id},
		})
		return err
	}
}

func cancels(id string) func(context.Context, workflowservice.WorkflowServiceClient) error {
	return func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.RequestCancelWorkflowExecution(ctx, &workflowservice.RequestCancelWorkflowExecutionRequest{
			Namespace: doorNamespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: id},
		})
		return err
	}
}

func completes(token []byte) func(context.Context, workflowservice.WorkflowServiceClient) error {
	return func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.RespondActivityTaskCompleted(ctx, &workflowservice.RespondActivityTaskCompletedRequest{Namespace: doorNamespace, TaskToken: token})
		return err
	}
}

func deploying(service string, change ...func(*servicedef.Service)) workflows.DeployInput {
	definition := servicedef.Service{Name: service, Node: theNode.Name, Components: []servicedef.Component{{Name: "app", Node: theNode.Name, Image: "localhost/app:v1"}}}
	for _, c := range change {
		c(&definition)
	}
	return workflows.DeployInput{Verb: fleet.VerbDeploy, Definition: definition, Who: "root"}
}

// raw replaces the input of a start.
func raw(encoding, text string) func(*workflowservice.StartWorkflowExecutionRequest) {
	return func(in *workflowservice.StartWorkflowExecutionRequest) {
		in.Input = &common.Payloads{Payloads: []*common.Payload{{Metadata: map[string][]byte{"encoding": []byte(encoding)}, Data: []byte(text)}}}
	}
}

const readID = "read/status/0123456789abcdef"

// attempts are what nodes, edges, builders, readers and deployers try. Tokens are those of a
// task of another node: as the door gave it, and Temporal's own. Theirs is a read of the
// operator.
func attempts(wrapped, own []byte, theirs *common.WorkflowExecution) []misuse {
	type request = workflowservice.StartWorkflowExecutionRequest
	normal, sticky := enums.TASK_QUEUE_KIND_NORMAL, enums.TASK_QUEUE_KIND_STICKY
	machine := fleet.Machine{ID: "evil", Boot: "1"}
	terminate := func(in *request) { in.WorkflowIdConflictPolicy = enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING }
	var all []misuse
	add := func(who identity.Identity, what string, do func(context.Context, workflowservice.WorkflowServiceClient) error) {
		all = append(all, misuse{who, what, do})
	}

	// A node, and the same of an edge and a builder.
	for _, who := range []identity.Identity{theNode, theEdge, theBuilder} {
		for _, queue := range []string{"node-orion", "control", "edge-other", "build-alice", "buildlog-alice", "", "node-", "build-"} {
			add(who, "polls the activities of "+queue, polls(queue, normal))
		}
		add(who, "polls activities in a sticky queue", polls("node-"+who.Name, sticky))
		add(who, "polls workflows", pollsWorkflows(&taskqueue.TaskQueue{Name: "control"}))
		add(who, "polls workflows of its own queue", pollsWorkflows(&taskqueue.TaskQueue{Name: "node-rift"}))
		add(who, "polls a sticky queue", pollsWorkflows(&taskqueue.TaskQueue{Name: "x", Kind: sticky, NormalName: "control"}))
		add(who, "deploys", starts(starting("deploy/shop", workflows.DeployName, deploying("shop"))))
		add(who, "runs a command", starts(starting("read/exec/0123456789abcdef", workflows.ExecName, workflows.ExecInput{Service: "shop", Command: []string{"sh"}})))
		add(who, "reads", starts(starting(readID, reads.StatusName, reads.StatusInput{})))
		add(who, "revives a node", starts(starting("node/"+who.Name, tend.ReviveNodeName, tend.ReviveNodeInput{Node: who.Name})))
		add(who, "mends", starts(starting("mend/shop/1", workflows.MendName, workflows.MendInput{})))
		add(who, "reads a history", readsHistory("deploy/shop", "", allEvents))
		add(who, "reads the end of a deploy", readsHistory("deploy/shop", "", lastEvent))
		add(who, "reads the end of a read", readsHistory(theirs.GetWorkflowId(), theirs.GetRunId(), lastEvent))
		add(who, "describes a deploy", describes("deploy/shop"))
		add(who, "cancels a deploy", cancels("deploy/shop"))
		add(who, "answers for another, with the door's token", completes(wrapped))
		add(who, "answers for another, with Temporal's token", completes(own))
		add(who, "answers without a token", completes(nil))
		add(who, "heartbeats for another", func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
			_, err := s.RecordActivityTaskHeartbeat(ctx, &workflowservice.RecordActivityTaskHeartbeatRequest{Namespace: doorNamespace, TaskToken: wrapped})
			return err
		})
		add(who, "fails a task of another", func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
			_, err := s.RespondActivityTaskFailed(ctx, &workflowservice.RespondActivityTaskFailedRequest{Namespace: doorNamespace, TaskToken: wrapped})
			return err
		})
		add(who, "completes by id", func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
			_, err := s.RespondActivityTaskCompletedById(ctx, &workflowservice.RespondActivityTaskCompletedByIdRequest{
				Namespace: doorNamespace, WorkflowId: theirs.GetWorkflowId(), RunId: theirs.GetRunId(), ActivityId: "5",
			})
			return err
		})
		add(who, "says that another worker lives", func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
			_, err := s.RecordWorkerHeartbeat(ctx, &workflowservice.RecordWorkerHeartbeatRequest{
				Namespace: doorNamespace, WorkerHeartbeat: []*worker.WorkerHeartbeat{{WorkerInstanceKey: "x", TaskQueue: "node-orion"}},
			})
			return err
		})
		add(who, "shuts down another worker", func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
			_, err := s.ShutdownWorker(ctx, &workflowservice.ShutdownWorkerRequest{Namespace: doorNamespace, TaskQueue: "node-orion", WorkerInstanceKey: "x"})
			return err
		})
		add(who, "works in another namespace", func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
			_, err := s.PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{
				Namespace: "default", TaskQueue: &taskqueue.TaskQueue{Name: "node-rift"},
			})
			return err
		})
	}
	claim := fleet.Claim{Node: "orion", Machine: machine}
	add(theNode, "claims another name", starts(starting(tend.ClaimID("orion", machine), tend.ClaimNodeName, claim)))
	add(theNode, "claims another name by its own id", starts(starting(tend.ClaimID("rift", machine), tend.ClaimNodeName, claim)))
	claim.Node = "rift"
	add(theNode, "claims its name by another id", starts(starting(tend.ClaimID("orion", machine), tend.ClaimNodeName, claim)))
	add(theNode, "terminates a claim", starts(starting(tend.ClaimID("rift", machine), tend.ClaimNodeName, claim, terminate)))
	claim.Silent = &machine
	add(theNode, "says that the holder is silent", starts(starting(tend.ClaimID("rift", machine), tend.ClaimNodeName, claim)))
	add(theNode, "announces another", starts(starting("node/orion", tend.RegisterNodeName, fleet.NodeRecord{Name: "orion"}, terminate)))
	add(theNode, "announces itself by another id", starts(starting("deploy/shop", tend.RegisterNodeName, fleet.NodeRecord{Name: "rift"}, terminate)))
	add(theNode, "announces an edge", starts(starting("edge/rift/announce/k", tend.AnnounceEdgeName, fleet.EdgeRecord{Name: "rift", Key: "k"})))
	add(theNode, "reads all of its announcement", readsHistory("node/rift", "", allEvents))
	add(theNode, "reads a change of its record", readsHistory("node/rift/drain/0123456789abcdef", "", lastEvent))
	add(theNode, "reads with a page token of Temporal's", readsHistory("node/rift", "", lastEvent, []byte(`{"RunId":"x","BranchToken":"eA=="}`)...))
	add(theEdge, "announces another", starts(starting("edge/other/announce/k", tend.AnnounceEdgeName, fleet.EdgeRecord{Name: "other", Key: "k"})))
	add(theEdge, "announces itself by another id", starts(starting("edge/other/announce/k", tend.AnnounceEdgeName, fleet.EdgeRecord{Name: "front", Key: "k"}, terminate)))
	add(theEdge, "uses the storage as another", starts(starting("edge/other/storage/0123456789abcdef", tend.EdgeStorageName, fleet.StorageRequest{Edge: "other"})))
	add(theEdge, "admits itself", starts(starting("edge/front/admit/0123456789abcdef", tend.AdmitEdgeName, tend.AdmitEdgeInput{Edge: "front"})))

	// A deployer of shop.
	bank := deploying("bank")
	add(ci, "deploys another service", starts(starting("deploy/bank", workflows.DeployName, bank)))
	add(ci, "deploys another service by the id of its own", starts(starting("deploy/shop", workflows.DeployName, bank)))
	add(ci, "deploys its service by the id of another", starts(starting("deploy/bank", workflows.DeployName, deploying("shop"))))
	add(ci, "deploys by another id", starts(starting("shop", workflows.DeployName, deploying("shop"))))
	for _, text := range []string{
		`{"verb":"deploy","definition":{"name":"shop"},"definition":{"name":"bank"}}`,
		`{"verb":"deploy","definition":{"name":"shop"},"Definition":{"name":"bank"}}`,
		`{"verb":"deploy","definition":{"name":"shop"},"surprise":1}`,
		`{"verb":"deploy","definition":{"name":"shop"}} {"definition":{"name":"bank"}}`,
		`null`, ``, `[]`, `{`,
	} {
		add(ci, "deploys with the input "+text, starts(starting("deploy/shop", workflows.DeployName, nil, raw("json/plain", text))))
	}
	for _, encoding := range []string{"json/protobuf", "binary/plain", "binary/encrypted", ""} {
		add(ci, "deploys with an input encoded as "+encoding, starts(starting("deploy/shop", workflows.DeployName, nil, raw(encoding, `{"definition":{"name":"shop"}}`))))
	}
	changed := map[string]func(*request){
		"and terminates":       terminate,
		"and terminates, old":  func(in *request) { in.WorkflowIdReusePolicy = 4 /* to terminate, deprecated */ },
		"by cron":              func(in *request) { in.CronSchedule = "* * * * *" },
		"on a node's queue":    func(in *request) { in.TaskQueue.Name = "node-rift" },
		"on a sticky queue":    func(in *request) { in.TaskQueue.Kind = sticky },
		"with a delay":         func(in *request) { in.WorkflowStartDelay = durationpb.New(time.Hour) },
		"with retries":         func(in *request) { in.RetryPolicy = &common.RetryPolicy{MaximumAttempts: 9} },
		"with a timeout":       func(in *request) { in.WorkflowExecutionTimeout = durationpb.New(time.Second) },
		"with a run timeout":   func(in *request) { in.WorkflowRunTimeout = durationpb.New(time.Second) },
		"with a header":        func(in *request) { in.Header = &common.Header{Fields: map[string]*common.Payload{"mcp-door": {}}} },
		"with a link":          func(in *request) { in.Links = []*common.Link{{}} },
		"with a priority":      func(in *request) { in.Priority = &common.Priority{PriorityKey: 1} },
		"with two inputs":      func(in *request) { in.Input.Payloads = append(in.Input.Payloads, in.Input.Payloads[0]) },
		"with no input":        func(in *request) { in.Input = nil },
		"in another namespace": func(in *request) { in.Namespace = "default" },
		"as another type":      func(in *request) { in.WorkflowType.Name = workflows.MendName },
		"as no type of mcp's":  func(in *request) { in.WorkflowType.Name = "Shell" },
		"with a callback": func(in *request) {
			in.CompletionCallbacks = []*common.Callback{{Variant: &common.Callback_Nexus_{Nexus: &common.Callback_Nexus{Url: "http://evil"}}}}
		},
		"with a version": func(in *request) {
			in.VersioningOverride = &workflow.VersioningOverride{Override: &workflow.VersioningOverride_AutoUpgrade{AutoUpgrade: true}}
		},
		"with what is done on a conflict": func(in *request) {
			in.OnConflictOptions = &workflow.OnConflictOptions{AttachCompletionCallbacks: true}
		},
		"with the last result": func(in *request) { in.LastCompletionResult = &common.Payloads{Payloads: []*common.Payload{{}}} },
	}
	for what, change := range changed {
		add(ci, "deploys "+what, starts(starting("deploy/shop", workflows.DeployName, deploying("shop"), change)))
	}
	add(ci, "purges another service", starts(starting("deploy/bank", workflows.PurgeName, workflows.PurgeInput{Service: "bank"})))
	add(ci, "builds another service", starts(starting("build/bank", workflows.BuildName, workflows.BuildInput{Definition: bank.Definition})))
	add(ci, "syncs another service", starts(starting("read/sync/0123456789abcdef", workflows.SyncName, bank)))
	add(ci, "runs a command", starts(starting("read/exec/0123456789abcdef", workflows.ExecName, workflows.ExecInput{Service: "shop", Command: []string{"sh"}})))
	job := workflows.RunJobInput{Service: "shop", Job: "backup", Command: []string{"sh"}}
	add(ci, "runs a command as a job", starts(starting("job/shop/backup/0123456789abcdef", workflows.RunJobName, job)))
	job.Command, job.Due = nil, time.Now()
	add(ci, "runs a job as its schedule", starts(starting("job/shop/backup/0123456789abcdef", workflows.RunJobName, job)))
	job.Due, job.Service = time.Time{}, "bank"
	add(ci, "runs another's job", starts(starting("job/bank/backup/0123456789abcdef", workflows.RunJobName, job)))
	pause := oncontrol.PauseJobInput{Service: "bank", Job: "backup", By: "ci"}
	add(ci, "pauses another's job", starts(starting("pause/bank/backup/0123456789abcdef", workflows.PauseJobName, pause)))
	add(ci, "puts another into maintenance", starts(starting("maintain/bank/0123456789abcdef", workflows.MaintainName, workflows.MaintainInput{Service: "bank", On: true})))
	add(ci, "reads every service", starts(starting("read/services/0123456789abcdef", reads.ServicesName, nil)))
	add(ci, "reads every service's state", starts(starting(readID, reads.StatusName, reads.StatusInput{})))
	add(ci, "reads another's state", starts(starting(readID, reads.StatusName, reads.StatusInput{Services: []string{"shop", "bank"}})))
	add(ci, "reads by the id of a deploy", starts(starting("deploy/shop", reads.StatusName, reads.StatusInput{Services: []string{"shop"}})))
	add(ci, "reads another's logs", starts(starting("read/logs/0123456789abcdef", reads.LogsName, reads.LogsInput{Service: "bank"})))
	add(ci, "sets a secret", starts(starting("secret/shop/db/set/0123456789abcdef", workflows.SetSecretName, secrets.Addition{Envelope: secrets.Envelope{Ref: secrets.Ref{Service: "shop", Name: "db", Version: 1}}})))
	add(ci, "lists secrets", starts(starting("read/secret/0123456789abcdef", reads.SecretsName, reads.SecretsInput{Service: "shop"})))
	add(ci, "loads envelopes", starts(starting("read/secret/0123456789abcdef", reads.EnvelopesName, oncontrol.LoadEnvelopesInput{Refs: []secrets.Ref{{Service: "shop", Name: "db", Version: 1}}})))
	add(ci, "drains a node", starts(starting("node/rift/drain/0123456789abcdef", tend.DrainNodeName, tend.DrainInput{Node: "rift", Draining: true})))
	add(ci, "removes a node", starts(starting("node/rift/remove/0123456789abcdef", tend.RemoveNodeName, "rift")))
	add(ci, "admits an edge", starts(starting("edge/front/admit/0123456789abcdef", tend.AdmitEdgeName, tend.AdmitEdgeInput{Edge: "front"})))
	add(ci, "claims a node", starts(starting(tend.ClaimID("rift", machine), tend.ClaimNodeName, fleet.Claim{Node: "rift", Machine: machine})))
	entry := fleet.AuditEntry{Key: "deploy/1", Actor: fleet.Actor{Who: "operator/anna"}, Action: fleet.Action{Verb: "deploy", Service: "shop"}, WorkflowID: "deploy/shop"}
	add(ci, "writes the audit", starts(starting("audit/deploy/1/begun", workflows.RecordAuditName, workflows.RecordAuditInput{Entries: []fleet.AuditEntry{entry}})))
	add(ci, "polls a builder's queue", polls("build-bob", normal))
	add(ci, "polls a node's queue", polls("node-rift", normal))
	add(ci, "reads another's deploy", readsHistory("deploy/bank", "", allEvents))
	add(ci, "reads a secret's change", readsHistory("secret/shop/db/set/0123456789abcdef", "", allEvents))
	add(ci, "reads a node's claim", readsHistory("claim/rift/x/y", "", allEvents))
	add(ci, "describes another's deploy", describes("deploy/bank"))
	add(ci, "cancels another's deploy", cancels("deploy/bank"))
	add(ci, "cancels a mending", cancels("mend/shop/1"))
	add(ci, "cancels the monitor", cancels("monitor"))
	add(ci, "queries a stack", func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.QueryWorkflow(ctx, &workflowservice.QueryWorkflowRequest{
			Namespace: doorNamespace, Execution: &common.WorkflowExecution{WorkflowId: "deploy/shop"}, Query: &query.WorkflowQuery{QueryType: "__stack_trace"},
		})
		return err
	})
	add(ci, "signals a rotation", func(ctx context.Context, s workflowservice.WorkflowServiceClient) error {
		_, err := s.SignalWorkflowExecution(ctx, &workflowservice.SignalWorkflowExecutionRequest{
			Namespace: doorNamespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: "rotate/shop/db"}, SignalName: workflows.SignalRevoked,
		})
		return err
	})

	// A reader of shop.
	for what, in := range map[string]*request{
		"deploys":            starting("deploy/shop", workflows.DeployName, deploying("shop")),
		"purges":             starting("deploy/shop", workflows.PurgeName, workflows.PurgeInput{Service: "shop"}),
		"builds":             starting("build/shop", workflows.BuildName, workflows.BuildInput{Definition: deploying("shop").Definition}),
		"syncs":              starting("read/sync/0123456789abcdef", workflows.SyncName, deploying("shop")),
		"runs a command":     starting("read/exec/0123456789abcdef", workflows.ExecName, workflows.ExecInput{Service: "shop", Command: []string{"sh"}}),
		"runs a job":         starting("job/shop/backup/0123456789abcdef", workflows.RunJobName, workflows.RunJobInput{Service: "shop", Job: "backup"}),
		"pauses a job":       starting("pause/shop/backup/0123456789abcdef", workflows.PauseJobName, oncontrol.PauseJobInput{Service: "shop", Job: "backup"}),
		"begins maintenance": starting("maintain/shop/0123456789abcdef", workflows.MaintainName, workflows.MaintainInput{Service: "shop", On: true}),
		"reads every job":    starting("read/jobs/0123456789abcdef", reads.JobsName, reads.JobsInput{}),
		"lists processes":    starting("read/ps/0123456789abcdef", reads.ProcessesName, reads.ProcessesInput{}),
		"reads the audit":    starting("read/audit/0123456789abcdef", reads.AuditName, reads.AuditInput{}),
		"rotates a secret":   starting("rotate/shop/db", workflows.RotateSecretName, workflows.RotateSecretInput{}),
		"writes the audit":   starting("audit/cancel/1/begun", workflows.RecordAuditName, workflows.RecordAuditInput{Entries: []fleet.AuditEntry{entry}}),
		"terminates a read":  starting(readID, reads.StatusName, reads.StatusInput{Services: []string{"shop"}}, terminate),
	} {
		add(guest, what, starts(in))
	}
	add(guest, "cancels a deploy", cancels("deploy/shop"))
	for _, who := range []identity.Identity{guest, ci} {
		add(who, "reads what another has read", readsHistory(theirs.GetWorkflowId(), theirs.GetRunId(), allEvents))
		add(who, "describes what another has read", describes(theirs.GetWorkflowId()))
		add(who, "cancels what another reads", cancels(theirs.GetWorkflowId()))
		add(who, "reads with a page token of Temporal's", readsHistory("deploy/shop", "", allEvents, []byte(`{"RunId":"x"}`)...))
	}
	return all
}

// tries makes each of them, and returns those that got through.
func (d *doored) tries(t *testing.T, all []misuse) (through []string) {
	t.Helper()
	services := map[string]workflowservice.WorkflowServiceClient{}
	for _, a := range all {
		if services[a.who.String()] == nil {
			services[a.who.String()] = d.service(a.who)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := a.do(ctx, services[a.who.String()])
		cancel()
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "the gateway refuses") {
			through = append(through, fmt.Sprintf("%s %s: %v", a.who, a.what, err))
		}
	}
	slices.Sort(through)
	return through
}

// taskOfAnother has another node take a task, and returns its token.
func (d *doored) taskOfAnother(t *testing.T) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	asked := starting("read/node/0123456789abcdef", reads.NodePolicyName, otherNode.Name)
	_, err := d.service(anna).StartWorkflowExecution(ctx, asked)
	require.NoError(t, err)
	for {
		task, err := d.service(otherNode).PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{
			Namespace: doorNamespace, TaskQueue: &taskqueue.TaskQueue{Name: activities.QueueNode(otherNode.Name)},
		})
		require.NoError(t, err)
		if len(task.GetTaskToken()) > 0 {
			return task.GetTaskToken()
		}
	}
}
