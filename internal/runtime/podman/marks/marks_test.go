package marks_test

import (
	"context"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// sleeping starts a process with a variable, and returns a function that awaits the signal
// which ends it.
func sleeping(t *testing.T, variable string) (ended func() syscall.Signal) {
	t.Helper()
	process := exec.CommandContext(t.Context(), "sleep", "60")
	process.Env = []string{variable}
	require.NoError(t, process.Start())
	return func() syscall.Signal {
		require.Error(t, process.Wait())
		return process.ProcessState.Sys().(syscall.WaitStatus).Signal()
	}
}

func TestACommandGetsSignals(t *testing.T) {
	mark := marks.NewCommand()
	ended := sleeping(t, mark.Variable())
	require.False(t, marks.NewCommand().Signal(0, syscall.SIGKILL), "another command")
	require.True(t, mark.Signal(0, syscall.SIGCONT))
	mark.HangUp()
	require.Equal(t, syscall.SIGHUP, ended())
}

func TestACheckThatIsInterruptedIsKilled(t *testing.T) {
	mark := marks.Check(marks.NewCommand())
	ended := sleeping(t, mark.Variable())
	ctx, cancel := context.WithCancel(t.Context())
	disconnected := make(chan struct{})
	done := mark.Watch(ctx, func() { close(disconnected) })
	cancel()
	require.Equal(t, syscall.SIGKILL, ended())
	done()
	select {
	case <-disconnected:
	case <-time.After(time.Minute):
		require.Fail(t, "the connection is left open")
	}
}

func TestABuildThatRunsNoStepIsDisconnected(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	disconnected := make(chan struct{})
	mark := marks.NewBuild()
	require.NotEqual(t, marks.NewBuild(), mark)
	done := mark.Watch(ctx, func() bool { return false }, func() { close(disconnected) })
	cancel()
	<-disconnected
	done()
}
