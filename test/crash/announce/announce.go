// Package announce has a process report each activity to the harness of the crash
// matrix, which may end it there.
package announce

import (
	"context"
	"encoding/json"
	"io"
	"net"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
)

// Variable names the socket of the harness, in the environment of a process.
const Variable = "CRASH_ANNOUNCE"

// Moment is the beginning or the end of one attempt of an activity.
type Moment struct {
	Workflow, Run, Activity, ID string
	Attempt                     int32
	// Local is set where it is a local activity. After means that the activity has done
	// its work and Temporal does not know it yet.
	Local, After bool
}

// Key identifies the activity in its run. Local activities have ids of their own,
// so the id alone does not.
func (m Moment) Key() string { return m.Activity + " " + m.ID }

// Announcer sends every moment to the harness, from the process in which it
// happens, and waits until it may go on.
type Announcer struct {
	interceptor.WorkerInterceptorBase
	// Socket is the path of the harness's socket.
	Socket string
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (a *Announcer) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &announced{interceptor.ActivityInboundInterceptorBase{Next: next}, a.Socket}
}

type announced struct {
	interceptor.ActivityInboundInterceptorBase
	socket string
}

func (a *announced) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	m := Moment{
		Workflow: info.WorkflowExecution.ID, Run: info.WorkflowExecution.RunID,
		Activity: info.ActivityType.Name, ID: info.ActivityID, Attempt: info.Attempt, Local: info.IsLocalActivity,
	}
	a.announce(m)
	out, err := a.Next.ExecuteActivity(ctx, in)
	m.After = true
	a.announce(m)
	return out, err
}

// announce returns when the harness closes the connection, or has ended.
func (a *announced) announce(m Moment) {
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	if json.NewEncoder(conn).Encode(m) == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}
