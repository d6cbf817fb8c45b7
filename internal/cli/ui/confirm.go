package ui

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
)

// Confirm asks whether to do a deed that destroys the losses, one on a line; if there
// are none, it does not ask. Without a terminal only yes, which is the flag -y,
// confirms.
func (c *Console) Confirm(ctx context.Context, deed string, losses []string, yes bool) error {
	if yes || len(losses) == 0 {
		return nil
	}
	list := strings.Join(losses, "\n  ")
	if !c.Asks() {
		return exit.Usage(fault.New(fault.Invalid, "%s removes the following, and there is no terminal to confirm it at:\n  %s", deed, list).
			WithHint("confirm with -y: mcp %s -y", deed))
	}
	return c.ask(ctx, deed, fmt.Sprintf("%s removes\n  %s", deed, list))
}

// Agree asks whether to do a deed that gives something away, after the facts, whole
// lines that the operator compares with what is known elsewhere. Without a terminal only
// yes, which is the flag -y, agrees.
func (c *Console) Agree(ctx context.Context, deed, facts string, yes bool) error {
	if yes {
		return nil
	}
	if !c.Asks() {
		return exit.Usage(fault.New(fault.Invalid, "%s needs a confirmation, and there is no terminal to give it at\n%s", deed, facts).
			WithHint("confirm with -y: mcp %s -y", deed))
	}
	return c.ask(ctx, deed, facts)
}

// ask asks whether to go on with a deed.
func (c *Console) ask(ctx context.Context, deed, question string) error {
	_, _ = fmt.Fprintf(c.Stderr, "%s\nGo on? [y/N] ", question)
	answer, err := c.Answer(ctx)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fault.New(fault.Conflict, "%s was not confirmed: nothing has been done", deed)
}

// Answer reads a line from Stdin, with its end; the end of the input is an empty
// one. An interrupt ends the wait.
func (c *Console) Answer(ctx context.Context) (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(c.Stdin).ReadString('\n') // a failed read is no answer
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
		_, _ = fmt.Fprintln(c.Stderr) // the cursor still stands behind the question
	}
	if ctx.Err() != nil {
		return "", exit.Interrupted
	}
	return line, nil
}
