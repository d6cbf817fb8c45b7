package alert

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

const (
	// commandTime bounds the run of a command.
	commandTime = 30 * time.Second
	// commandGrace bounds the time for which a process that inherited the
	// command's output may hold it open after the command ends.
	commandGrace = time.Second
	// commandOutput is the number of bytes from the end of the output that an
	// error holds.
	commandOutput = 500
)

// Command runs a program for each message, with the message on standard input.
type Command struct {
	// Args are the program and its arguments, without a shell.
	Args []string
}

// Send runs the program and waits for its end. One that cannot be started is
// Invalid; one that fails, or takes too long, is Unavailable.
func (c Command) Send(ctx context.Context, m Message) error {
	name := c.Args[0]
	limited, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(limited, name, c.Args[1:]...)
	cmd.Stdin = bytes.NewReader(m.Body)
	var output tail
	cmd.Stdout, cmd.Stderr = &output, &output
	// Processes that the command started are killed with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = commandGrace
	if err := cmd.Start(); err != nil {
		return fault.Wrap(fault.Invalid, err, "run the alert command %s", name)
	}
	err := cmd.Wait()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fault.New(fault.Unavailable, "run the alert command %s: it did not end within %s", name, commandTime)
	}
	return fault.Wrap(fault.Unavailable, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output))), "run the alert command %s", name)
}

// tail keeps the end of what is written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	*t = (*t)[max(0, len(*t)-commandOutput):]
	return len(p), nil
}
