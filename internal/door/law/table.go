package law

import (
	"context"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/identity"
)

// rule is what a role may do with a method.
type rule struct {
	// fields are those that a request may have.
	fields *fields
	// judge refuses a request, or changes what is passed on; nil to leave it.
	judge func(context.Context, *call) error
	// answer changes the answer; nil to leave it.
	answer func(*call, proto.Message) error
	// anywhere leaves the namespace unchecked.
	anywhere bool
}

// to permits a method to these roles, by one rule.
func (r rule) to(roles ...identity.Role) map[identity.Role]rule {
	row := map[identity.Role]rule{}
	for _, role := range roles {
		row[role] = r
	}
	return row
}

// The roles, by what they have in common.
var (
	everyone  = identity.Roles()
	people    = []identity.Role{identity.Operator, identity.Deployer, identity.Reader}
	changers  = []identity.Role{identity.Operator, identity.Deployer}
	starters  = []identity.Role{identity.Operator, identity.Deployer, identity.Reader, identity.Node, identity.Edge}
	pollers   = []identity.Role{identity.Control, identity.Node, identity.Edge, identity.Builder, identity.Operator, identity.Deployer}
	operating = []identity.Role{identity.Operator, identity.Control}
	control   = []identity.Role{identity.Control}
)

// ruleOf returns the rule for a method, given in full, and a role; ok is false if there is
// none: the call is refused.
func ruleOf(full string, role identity.Role) (r rule, ok bool) {
	r, ok = table[full][role]
	return r, ok
}

// Permits reports whether the table has a rule for a method, given in full, and a role.
func Permits(full string, role identity.Role) bool {
	_, ok := ruleOf(full, role)
	return ok
}

const (
	temporal = "/" + "temporal.api.workflowservice.v1.WorkflowService" + "/"
	operator = "/" + "temporal.api.operatorservice.v1.OperatorService" + "/"
)

// Of the generated code, for the names above to be those of the services.
var (
	_ = workflowservice.WorkflowService_ServiceDesc
	_ = operatorservice.OperatorService_ServiceDesc
)

// table has every method that is permitted, by the roles that it is for. Every other
// method of Temporal's services is refused, including those of later versions.
var table = map[string]map[identity.Role]rule{
	// What every client asks for when it connects.
	grpc_health_v1.Health_Check_FullMethodName: rule{fields: only("service")}.to(everyone...),
	temporal + "GetSystemInfo":                 rule{fields: only()}.to(everyone...),
	temporal + "DescribeNamespace":             rule{fields: only("namespace", "weak_consistency"), answer: plainNamespace}.to(everyone...),

	// What workers ask for. An activity's token is good for the identity that polled it.
	temporal + "PollActivityTaskQueue": rule{
		fields: only(append(polled, "-task_queue_metadata")...), judge: pollsActivities, answer: wrapActivity,
	}.to(pollers...),
	temporal + "PollWorkflowTaskQueue": rule{
		fields: only(append(polled, "task_queue.normal_name", "-binary_checksum")...), judge: pollsWorkflows, answer: wrapWorkflowTask,
	}.to(control...),
	temporal + "RecordActivityTaskHeartbeat": rule{
		fields: only("namespace", "task_token", "details.*", "identity", "resource_id"), judge: unwraps(forActivity),
	}.to(pollers...),
	temporal + "RespondActivityTaskCompleted": rule{
		fields: answered("namespace", "task_token", "result.*", "identity", "resource_id"), judge: unwraps(forActivity),
	}.to(pollers...),
	temporal + "RespondActivityTaskFailed": rule{
		fields: answered("namespace", "task_token", "failure.*", "identity", "resource_id", "last_heartbeat_details.*"), judge: unwraps(forActivity),
	}.to(pollers...),
	temporal + "RespondActivityTaskCanceled": rule{
		fields: answered("namespace", "task_token", "details.*", "identity", "resource_id"), judge: unwraps(forActivity),
	}.to(pollers...),
	temporal + "RecordWorkerHeartbeat": rule{
		fields: only("namespace", "identity", "worker_heartbeat.*", "resource_id"), judge: heartbeatsOfItself,
	}.to(pollers...),
	temporal + "ShutdownWorker": rule{
		fields: only("namespace", "sticky_task_queue", "identity", "reason", "worker_heartbeat.*", "worker_instance_key", "task_queue", "task_queue_types"),
		judge:  shutsDownItself,
	}.to(pollers...),

	// What workers that run workflows ask for.
	temporal + "RespondWorkflowTaskCompleted": rule{fields: completion, judge: completes, answer: wrapCompletion}.to(control...),
	temporal + "RespondWorkflowTaskFailed": rule{
		fields: answered("namespace", "task_token", "cause", "failure.*", "identity", "-binary_checksum", "messages.*", "resource_id"),
		judge:  unwraps(forWorkflow),
	}.to(control...),
	temporal + "RespondQueryTaskCompleted": rule{
		fields: only("namespace", "task_token", "completed_type", "query_result.*", "error_message", "failure.*", "cause", "poller_group_id"), judge: unwraps(forQuery),
	}.to(control...),
	temporal + "ResetStickyTaskQueue":    rule{fields: only("namespace", "execution.*")}.to(control...),
	temporal + "ListWorkers":             rule{fields: only("namespace", "page_size", "next_page_token", "query"), judge: unwrapsPage, answer: wrapsPage}.to(operating...),
	temporal + "CreateSchedule":          rule{fields: scheduled("request_id"), judge: schedules}.to(control...),
	temporal + "UpdateSchedule":          rule{fields: scheduled("request_id", "conflict_token"), judge: schedules}.to(control...),
	temporal + "DeleteSchedule":          rule{fields: only("namespace", "schedule_id", "identity"), judge: ownSchedule}.to(control...),
	operator + "AddSearchAttributes":     rule{fields: only("namespace", "search_attributes"), judge: searchAttributes}.to(control...),
	temporal + "DescribeSchedule":        rule{fields: only("namespace", "schedule_id")}.to(operating...),
	temporal + "ListSchedules":           rule{fields: only("namespace", "maximum_page_size", "next_page_token", "query"), judge: unwrapsPage, answer: wrapsPage}.to(operating...),
	temporal + "DescribeTaskQueue":       rule{fields: only("namespace", "task_queue.name", "task_queue.kind", "task_queue_type")}.to(operating...),
	operator + "ListSearchAttributes":    rule{fields: only("namespace")}.to(operating...),
	temporal + "CountWorkflowExecutions": rule{fields: only("namespace", "query")}.to(operating...),
	temporal + "ListWorkflowExecutions":  rule{fields: only("namespace", "page_size", "next_page_token", "query"), judge: unwrapsPage, answer: wrapsPage}.to(operating...),
	temporal + "GetClusterInfo":          rule{fields: only()}.to(operating...),

	// What starts workflows, and waits for them.
	temporal + "StartWorkflowExecution":      rule{fields: start, judge: starts, answer: started}.to(starters...),
	temporal + "GetWorkflowExecutionHistory": histories(),
	temporal + "DescribeWorkflowExecution": rule{
		fields: only("namespace", "execution.workflow_id", "execution.run_id"), judge: readsWorkflow,
	}.to(append(people, identity.Control)...),
	temporal + "RequestCancelWorkflowExecution": rule{
		fields: only("namespace", "workflow_execution.workflow_id", "workflow_execution.run_id", "identity", "request_id", "first_execution_run_id", "reason"),
		judge:  cancels,
	}.to(append(people, identity.Control)...),
	temporal + "SignalWorkflowExecution": rule{
		fields: only("namespace", "workflow_execution.workflow_id", "workflow_execution.run_id", "signal_name", "input.*", "identity", "request_id"),
		judge:  signals,
	}.to(changers...),
	temporal + "QueryWorkflow": rule{
		fields: only("namespace", "execution.workflow_id", "execution.run_id", "query.query_type", "query.query_args.*", "query_reject_condition"),
		judge:  queries,
	}.to(changers...),
}

// polled are the fields of a poll. What names other queues, or versions of workers, is
// removed.
var polled = []string{
	"namespace", "task_queue.name", "task_queue.kind", "poller_group_id", "identity", "worker_instance_key",
	"-worker_control_task_queue", "-worker_version_capabilities", "-deployment_options",
}

// answered are the fields of the answer to a task. What names versions of workers is
// removed.
func answered(paths ...string) *fields {
	return only(append(paths, "-worker_version", "-deployment", "-deployment_options")...)
}

// completion are the fields of a workflow task's answer. Commands are judged one by one.
var completion = only("namespace", "task_token", "commands.*", "identity", "sticky_attributes.*", "return_new_workflow_task",
	"force_create_new_workflow_task", "-binary_checksum", "query_results.*", "resource_id", "-worker_version_stamp", "messages.*", "sdk_metadata.*",
	"metering_metadata.*", "capabilities.*", "worker_instance_key", "-worker_control_task_queue", "-deployment", "-deployment_options", "-versioning_behavior")
