package session

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// Query connects and runs one read.
func (s *Session) Query(ctx context.Context, verb, workflow string, in, out any, options ...ReadOption) error {
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return s.Read(ctx, c, verb, workflow, in, out, options...)
}

// Read runs a short workflow, which has nothing to undo, and decodes its result. By
// default it may take a minute, of which it prints nothing for the first seconds,
// and does not wait for a control worker.
func (s *Session) Read(ctx context.Context, c client.Client, verb, workflow string, in, out any, options ...ReadOption) error {
	r := read{
		start: client.StartWorkflowOptions{
			ID: reads.ID(verb, Nonce()), TaskQueue: workflows.Queue,
			StaticSummary: "mcp " + verb, WorkflowExecutionTimeout: time.Minute,
		},
		wait: follow.WaitOptions{Quiet: follow.QuietTime},
	}
	for _, option := range options {
		option(&r)
	}
	err := s.read(ctx, c, r, workflow, in, out)
	if r.cancel && ctx.Err() != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), ConnectTimeout)
		defer cancel()
		_ = c.CancelWorkflow(last, r.start.ID, "") // otherwise its timeout ends it
	}
	return err
}

// read starts the workflow and waits for its result.
func (s *Session) read(ctx context.Context, c client.Client, r read, workflow string, in, out any) error {
	run, err := Start(ctx, c, r.start, workflow, in)
	if err != nil {
		return exit.Temporal(err)
	}
	return s.Follow(c).Wait(ctx, run, r.wait, out)
}

// read is how Read runs a workflow.
type read struct {
	start  client.StartWorkflowOptions
	wait   follow.WaitOptions
	cancel bool // the workflow, if the command is interrupted
}

// ReadOption changes how Read runs a workflow.
type ReadOption func(*read)

// Within is for a workflow whose answer may take as long as wait. Nothing is
// printed meanwhile.
func Within(wait time.Duration) ReadOption {
	return func(r *read) {
		r.start.WorkflowExecutionTimeout = wait + time.Minute
		r.wait.Quiet = wait + time.Minute
		r.cancel = true
	}
}

// UntilDeadline is for the read that begins a verb with a deadline: like the verb it
// waits for a control worker until then. The workflow itself ends its wait for what
// else is down.
func UntilDeadline(deadline time.Duration) ReadOption {
	return func(r *read) {
		r.start.WorkflowExecutionTimeout = deadline + time.Minute
		r.wait.ForControl = true
		r.cancel = true
	}
}

// ChangingNode is for a workflow that changes the record of a node, by a verb of mcp
// node.
func ChangingNode(node, verb string) ReadOption {
	return func(r *read) {
		r.start.ID = tend.NodeChangeID(node, verb, Nonce())
		r.start.StaticSummary = "mcp node " + verb + " " + node
		r.start.TypedSearchAttributes = temporal.NewSearchAttributes(workflows.SearchNode.ValueSet([]string{node}))
	}
}

// ChangingEdge is for a workflow that changes the record of an edge, by a verb of mcp
// edge.
func ChangingEdge(edge, verb string) ReadOption {
	return func(r *read) {
		r.start.ID = tend.EdgeChangeID(edge, verb, Nonce())
		r.start.StaticSummary = "mcp edge " + verb + " " + edge
	}
}

// ChangingJob is for a workflow that changes the record of a job, by a verb of mcp job.
func ChangingJob(service, job, verb string) ReadOption {
	return func(r *read) {
		r.start.ID = workflows.PauseID(service, job, Nonce())
		r.start.StaticSummary = "mcp " + verb + " " + service + "/" + job
		r.start.TypedSearchAttributes = temporal.NewSearchAttributes(workflows.SearchService.ValueSet(service))
	}
}

// Maintaining is for the workflow that begins or ends the maintenance of a service.
func Maintaining(service string) ReadOption {
	return func(r *read) {
		r.start.ID = workflows.MaintainID(service, Nonce())
		r.start.StaticSummary = "mcp maintenance " + service
		r.start.TypedSearchAttributes = temporal.NewSearchAttributes(workflows.SearchService.ValueSet(service))
	}
}

// ChangingSecret is for a workflow that changes a secret of a service, by a verb of mcp
// secret.
func ChangingSecret(service, name, verb string) ReadOption {
	return func(r *read) {
		r.start.ID = workflows.SecretID(service, name, verb, Nonce())
		r.start.StaticSummary = "mcp secret " + verb + " " + service + "/" + name
		r.start.TypedSearchAttributes = temporal.NewSearchAttributes(workflows.SearchService.ValueSet(service))
	}
}
