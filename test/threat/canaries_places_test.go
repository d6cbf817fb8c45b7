package threat

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	sdkworkflow "go.temporal.io/sdk/workflow"
)

// executions are all workflows of the namespace, or those that match a query.
func (r *canaryRig) executions(ctx context.Context, query string) []*workflow.WorkflowExecutionInfo {
	var all []*workflow.WorkflowExecutionInfo
	var token []byte
	for {
		page, err := r.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, NextPageToken: token})
		if err != nil {
			return all
		}
		all = append(all, page.Executions...)
		if token = page.NextPageToken; len(token) == 0 {
			return all
		}
	}
}

// lookAtHeartbeats searches what Temporal knows of pending activities until the test ends:
// their heartbeats and their last failures.
func (r *canaryRig) lookAtHeartbeats() {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for ctx.Err() == nil {
			for _, e := range r.executions(ctx, "ExecutionStatus = 'Running'") {
				described, err := r.temporal.DescribeWorkflowExecution(ctx, e.Execution.WorkflowId, e.Execution.RunId)
				if err != nil {
					continue
				}
				for _, pending := range described.PendingActivities {
					r.look("heartbeats and failures", e.Execution.WorkflowId, []byte(pending.String()))
					r.mu.Lock()
					if r.pending.Len() < 1<<20 {
						r.pending.WriteString(pending.String())
					}
					r.mu.Unlock()
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	r.t.Cleanup(func() { cancel(); <-stopped })
}

func (r *canaryRig) allPending() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending.String()
}

// lookAtTemporal searches all histories, decrypted, and then the files of the database as
// they are.
func (r *canaryRig) lookAtTemporal() {
	ctx := r.t.Context()
	for _, e := range r.executions(ctx, "") {
		r.look("Temporal's histories", "list", []byte(e.String()))
		for events := r.temporal.GetWorkflowHistory(ctx, e.Execution.WorkflowId, e.Execution.RunId, false, 0); events.HasNext(); {
			event, err := events.Next()
			if err != nil {
				break // it was deleted meanwhile
			}
			r.look("Temporal's histories", e.Execution.WorkflowId, []byte(event.String()))
		}
	}
	r.lookAtDatabase()
}

// lookAtDatabase searches the files of Temporal's database.
func (r *canaryRig) lookAtDatabase() {
	files, err := filepath.Glob(filepath.Join(r.platform.Info().Dir, "temporal", "*"))
	require.NoError(r.t, err)
	for _, file := range files {
		r.look("Temporal's database", file, read(file))
	}
}

// lookAtPostgres searches a dump of the registry, which it returns.
func (r *canaryRig) lookAtPostgres(place string) string {
	dump := exec.Command("pg_dump", strings.Replace(r.platformURL(), "/mcp?", "/canary?", 1))
	text, err := dump.Output()
	require.NoError(r.t, err)
	require.Contains(r.t, string(text), "deployments")
	r.look(place, "dump", text)
	return string(text)
}

// plantInTemporal has a workflow with the value in its input, and an activity with the
// value in its heartbeat; and a workflow with the value in its input that is not
// encrypted.
func (r *canaryRig) plantInTemporal(value string) {
	beats := worker.New(r.temporal, "planted", worker.Options{})
	beat := func(ctx context.Context) error {
		for !r.has("heartbeats and failures", planted) {
			activity.RecordHeartbeat(ctx, value)
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	}
	beats.RegisterWorkflowWithOptions(func(ctx sdkworkflow.Context, _ string) error {
		ctx = sdkworkflow.WithActivityOptions(ctx, sdkworkflow.ActivityOptions{
			StartToCloseTimeout: time.Minute, HeartbeatTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
		})
		return sdkworkflow.ExecuteActivity(ctx, "beat").Get(ctx, nil)
	}, sdkworkflow.RegisterOptions{Name: "planted"})
	beats.RegisterActivityWithOptions(beat, activity.RegisterOptions{Name: "beat"})
	require.NoError(r.t, beats.Start())
	defer beats.Stop()
	run, err := r.temporal.ExecuteWorkflow(r.t.Context(), client.StartWorkflowOptions{TaskQueue: "planted", ID: "planted"}, "planted", value)
	require.NoError(r.t, err)
	require.NoError(r.t, run.Get(r.t.Context(), nil))
	_, err = r.plain.ExecuteWorkflow(r.t.Context(), client.StartWorkflowOptions{TaskQueue: "plain", ID: "plain"}, "planted", value)
	require.NoError(r.t, err)
}
