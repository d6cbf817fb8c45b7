package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

// confirm asks whether to do what destroys the losses, one on a line; where
// there are none it does not ask. Only who sits at a terminal can answer:
// without one, nothing is done unless -y has said yes.
func (a *App) confirm(ctx context.Context, deed string, losses []string, yes bool) error {
	if yes || len(losses) == 0 {
		return nil
	}
	list := strings.Join(losses, "\n  ")
	if a.Interactive == nil || !a.Interactive() {
		return usageError{fault.New(fault.Invalid, "%s removes what follows, and there is no terminal to confirm it at:\n  %s", deed, list).
			WithHint("say yes with -y: mcp %s -y", deed)}
	}
	_, _ = fmt.Fprintf(a.Stderr, "%s removes\n  %s\nGo on? [y/N] ", deed, list)
	answer, err := a.answer(ctx)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fault.New(fault.Conflict, "%s was not confirmed: nothing has been done", deed)
}

// answer reads a line; the end of the input is an empty one. An interrupt ends
// the wait for it.
func (a *App) answer(ctx context.Context) (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.Stdin).ReadString('\n') // what cannot be read is no yes
		lines <- line
	}()
	var line string
	select {
	case line = <-lines:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		line = ""
	}
	if !strings.HasSuffix(line, "\n") {
		_, _ = fmt.Fprintln(a.Stderr) // the cursor is still behind the question
	}
	if ctx.Err() != nil {
		return "", exitError(exitInterrupted)
	}
	return line, nil
}
