package runtime

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// Logs calls each with the lines of a container's output.
func (f *Fake) Logs(ctx context.Context, name string, q LogQuery, each func(LogLine) bool) error {
	var all []LogLine
	id, running := "", false
	read := func(c *fakeContainer) error {
		all, running, id = slices.Clone(c.output), c.info.State.Alive(), c.info.ID
		return nil
	}
	if err := f.with(ctx, "Logs", name, read); err != nil {
		return err
	}
	given := 0
	if q.Tail > 0 {
		given = max(0, len(all)-q.Tail)
		for given > 0 && all[given].Time.Equal(all[given-1].Time) {
			given--
		}
	}
	for {
		for _, line := range all[given:] {
			if !line.Time.Before(q.Since) && !each(line) {
				return nil
			}
		}
		given = len(all)
		if !q.Follow || !running {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("logs %s: %w", name, ctx.Err())
		case <-time.After(time.Millisecond):
		}
		f.mu.Lock()
		c, err := f.find(id)
		if err == nil {
			_ = read(c) // never fails
		}
		f.mu.Unlock()
		if err != nil {
			return nil // removed, and so no longer running
		}
	}
}

// Check is Exec: a simulated command never outlasts its context.
func (f *Fake) Check(ctx context.Context, name string, cmd []string) (ExecResult, error) {
	return f.Exec(ctx, name, cmd)
}

// Exec runs a command in a running container, as Program simulates it.
func (f *Fake) Exec(ctx context.Context, name string, cmd []string) (ExecResult, error) {
	err := f.with(ctx, "Exec", name, func(c *fakeContainer) error {
		if c.info.State != Running {
			return fault.New(fault.Unhealthy, "run a command in %s: the container does not run", name)
		}
		return nil
	})
	if err != nil {
		return ExecResult{}, err
	}
	program := f.Program(cmd)
	if program.Missing {
		return ExecResult{}, fault.New(fault.Invalid, "run %s in %s: executable file not found", cmd[0], name)
	}
	if err := program.await(ctx); err != nil {
		return ExecResult{}, fmt.Errorf("run %s in %s: %w", cmd[0], name, err)
	}
	result := ExecResult{ExitCode: program.ExitCode}
	for _, line := range program.Output {
		result.Print(program.ToStderr, []byte(line+"\n"))
	}
	return result, nil
}
