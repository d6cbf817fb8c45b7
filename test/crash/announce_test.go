package crash

import (
	"context"
	"encoding/json"
	"io"
	"net"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
)

// moment is the beginning or the end of one attempt of an activity.
type moment struct {
	Workflow, Run, Activity, ID string
	Attempt                     int32
	// Local is set where the worker that runs the workflow does it on the spot.
	Local, After bool
}

// key tells its activity from all others of the run. Those that are done on the
// spot are numbered by themselves, so the id alone does not.
func (m moment) key() string { return m.Activity + " " + m.ID }

// announcer tells the harness of every moment, from inside the process in
// which it comes, and waits until it may go on. After is told when the
// activity has done its work and Temporal does not know it yet. A new activity
// is told of like any other.
type announcer struct {
	interceptor.WorkerInterceptorBase
	socket string
}

func (a *announcer) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &announced{interceptor.ActivityInboundInterceptorBase{Next: next}, a.socket}
}

type announced struct {
	interceptor.ActivityInboundInterceptorBase
	socket string
}

func (a *announced) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	m := moment{
		Workflow: info.WorkflowExecution.ID, Run: info.WorkflowExecution.RunID,
		Activity: info.ActivityType.Name, ID: info.ActivityID, Attempt: info.Attempt, Local: info.IsLocalActivity,
	}
	a.tell(m)
	out, err := a.Next.ExecuteActivity(ctx, in)
	m.After = true
	a.tell(m)
	return out, err
}

// tell returns when the harness closes the connection. A harness that is gone
// holds nobody up.
func (a *announced) tell(m moment) {
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	if json.NewEncoder(conn).Encode(m) == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}
