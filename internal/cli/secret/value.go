package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
)

// source is where a value is read; without a file and a command, that is the terminal or
// the standard input.
type source struct{ file, command string }

// read reads the value of a secret, which messages call called. No error has a part of
// it.
func (v source) read(ctx context.Context, s *session.Session, called string) ([]byte, error) {
	var text []byte
	var err error
	switch {
	case v.file != "" && v.command != "":
		return nil, exit.Usage(errors.New("give --file or --exec, not both"))
	case v.file != "":
		text, err = readFile(v.file)
	case v.command != "":
		text, err = readCommand(ctx, s, v.command)
		text = line(text)
	case s.Asks():
		text, err = ask(ctx, s, called)
	default:
		text, err = within(ctx, func() ([]byte, error) { return bounded(s.Stdin, "standard input") })
		text = line(text)
	}
	if err == nil && len(text) == 0 {
		err = exit.Usage(fault.New(fault.Invalid, "the value of %s is empty", called).
			WithHint("give it on standard input, or with --file or --exec"))
	}
	return text, err
}

// line returns a text without the newline at its end, if it is a single line: programs
// that print a password end it so. A text of several lines, such as a private key, is
// returned whole.
func line(text []byte) []byte {
	without, found := bytes.CutSuffix(text, []byte("\n"))
	if !found || bytes.ContainsRune(without, '\n') {
		return text
	}
	return bytes.TrimSuffix(without, []byte("\r"))
}

// bounded reads a value.
func bounded(from io.Reader, called string) ([]byte, error) {
	if from == nil {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(from, secrets.MaxValue+1))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read the value from %s", called)
	}
	if len(text) > secrets.MaxValue {
		return nil, exit.Usage(fault.New(fault.Invalid, "%s has more than %d KiB, which no secret may have", called, secrets.MaxValue>>10))
	}
	return text, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, exit.Usage(fmt.Errorf("read the value: %w", err))
	}
	defer file.Close()
	return bounded(file, path)
}

// readCommand runs a command in a shell and returns what it prints. It has the terminal,
// to ask for a passphrase.
func readCommand(ctx context.Context, s *session.Session, command string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdin, cmd.Stderr = s.Stdin, s.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "run the command of --exec")
	}
	text, failed := bounded(pipe, "the output of the command")
	if failed != nil {
		_ = cmd.Cancel()
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, exit.Interrupted
	case failed != nil:
		return nil, failed
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "the command of --exec has failed, and nothing is changed")
	}
	return text, nil
}

// ask asks for the value at the terminal, which does not show it.
func ask(ctx context.Context, s *session.Session, called string) ([]byte, error) {
	file, ok := s.Stdin.(*os.File)
	if !ok {
		answer, err := s.Answer(ctx)
		return line([]byte(answer)), err
	}
	fd := int(file.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "read the terminal's state")
	}
	_, _ = fmt.Fprintf(s.Stderr, "Value of %s (not shown; for several lines use --file): ", called)
	text, err := within(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	_, _ = fmt.Fprintln(s.Stderr)
	if ctx.Err() != nil {
		_ = term.Restore(fd, state)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return text, err
}

// within runs a read that an interrupt ends.
func within(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		return nil, exit.Interrupted
	}
}
