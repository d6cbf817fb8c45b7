package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Command is a program to supervise.
type Command struct {
	// Name identifies it in messages.
	Name string
	Path string
	Args []string
	// Env is added to the environment of this process.
	Env []string
	Dir string
	// LogFile is the file that its stdout and stderr are appended to.
	LogFile string
	// Credential is the user it runs as; nil means that of this process.
	Credential *syscall.Credential
	// StopSignal requests its end; SIGTERM if zero. The kernel also sends it if
	// this process dies first.
	StopSignal syscall.Signal
}

// Process is a running Command, the leader of its own process group.
type Process struct {
	command Command
	logged  int64 // how long the log was before
	pid     int
	done    chan struct{}
	err     error // set before done is closed
}

// stopGrace is how long a process may take to end before its group is killed.
const stopGrace = 10 * time.Second

// Start starts a program. It does not wait until the program is ready: see
// WaitReady.
func Start(command Command) (*Process, error) {
	if command.StopSignal == 0 {
		command.StopSignal = syscall.SIGTERM
	}
	log, err := os.OpenFile(command.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", command.Name, err)
	}
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("find the end of the log of %s: %w", command.Name, err)
	}
	cmd := exec.Command(command.Path, command.Args...)
	cmd.Env = append(os.Environ(), command.Env...)
	cmd.Dir = command.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Pdeathsig:  command.StopSignal,
		Credential: command.Credential,
	}
	p := &Process{command: command, logged: before, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the parent *thread* ends, so this
		// goroutine must keep that thread until the child has ended.
		runtime.LockOSThread()
		err := cmd.Start()
		_ = log.Close() // the child has its own copy
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Name, err)
	}
	return p, nil
}

// PID returns the id of the process and of its group.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop sends the process its StopSignal and, after ten seconds, kills its whole
// group. Stopping a process that has ended has no effect.
func (p *Process) Stop() {
	_ = syscall.Kill(p.pid, p.command.StopSignal)
	select {
	case <-p.done:
	case <-time.After(stopGrace):
	}
	// End what remains of the group as well.
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.done
}

// WaitReady calls probe until it returns nil. It fails when ctx or the process
// ends; the error then contains the last lines of the log.
func (p *Process) WaitReady(ctx context.Context, probe func(context.Context) error) error {
	pause := 10 * time.Millisecond
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := probe(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready (%w); the end of %s:\n%s",
				p.command.Name, errors.Join(p.err, err), p.command.LogFile, p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w); the end of %s:\n%s",
				p.command.Name, err, p.command.LogFile, p.logTail())
		case <-time.After(pause):
			pause = min(2*pause, 200*time.Millisecond)
		}
	}
}

// logTail returns the last ten lines that the process has logged, or, if a Go program has ended
// with the stacks of its goroutines, those that begin with the reason.
func (p *Process) logTail() string {
	text, err := os.ReadFile(p.command.LogFile)
	if err != nil {
		return err.Error()
	}
	own := text[min(int64(len(text)), p.logged):]
	lines := strings.Split(strings.TrimSpace(string(own)), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.Join(lines[i:min(len(lines), i+10)], "\n")
		}
	}
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
