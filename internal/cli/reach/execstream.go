package reach

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"golang.org/x/term"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
)

// streamExec runs a command as a stream of its node.
func streamExec(ctx context.Context, s *session.Session, cfg *config.Config, c client.Client, target string, command []string, o execOptions) error {
	input := s.Stdin != nil && (o.interactive || givesInput(s.Stdin))
	request := stream.ExecRequest{Command: command, Input: input, Terminal: o.tty}
	screen, err := terminalOf(s, o)
	if err != nil {
		return err
	}
	if screen != nil {
		request.Size, request.Term = screen.size(), s.Getenv("TERM")
		request.Term = request.Term[:min(len(request.Term), 64)]
	}
	// A first signal is the command's: it does not end the stream.
	whole, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	found, err := openWith(ctx, s, cfg, c, "exec", target)
	if err != nil {
		return err
	}
	defer found.close()
	h := session.HeaderOf(stream.Exec, found.service, found.at)
	h.Exec = &request
	call, err := found.streams.Call(whole, h)
	if err != nil {
		return err
	}
	defer call.Close()
	late := make(chan struct{})
	if o.timeout > 0 {
		timer := time.AfterFunc(o.timeout, func() {
			close(late)
			call.Close()
		})
		defer timer.Stop()
	}
	if screen != nil {
		restore, err := screen.raw()
		if err != nil {
			return err
		}
		defer restore()
	}
	ended := passSignals(ctx, call, screen)
	unread := make(chan error, 1)
	if input {
		go sendInput(call, s.Stdin, unread)
	}
	result, err := receive(s, call, screen)
	interrupted := ended()
	select {
	case err := <-unread:
		return exit.Cut(fault.Wrap(fault.Internal, err, "read standard input, of which the command in %s has had a part", target))
	default:
	}
	select {
	case <-late:
		return fault.New(fault.Unavailable, "the command in %s has not ended after %s; it gets SIGHUP", target, o.timeout).
			WithHint("wait longer: --timeout")
	default:
	}
	if interrupted {
		return exit.Interrupted
	}
	if err != nil {
		return session.CutOff(err)
	}
	return shown(s, result)
}

// sendInput sends the standard input. One that cannot be read to its end ends the stream:
// the command must not take a part for the whole.
func sendInput(call *stream.Call, from io.Reader, unread chan<- error) {
	source := &watched{Reader: from}
	if err := call.Send(source); err != nil && source.err != nil {
		unread <- source.err
		call.Close()
	}
}

// watched keeps the error of a reader.
type watched struct {
	io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// receive shows the output of a command as it comes, or keeps it for --json.
func receive(s *session.Session, call *stream.Call, screen *screen) (result runtime.ExecResult, err error) {
	stdout, stderr := s.Stdout, s.Stderr
	switch {
	case s.JSON:
		stdout, stderr = kept{&result, false}, kept{&result, true}
	case screen != nil:
		stdout = screen.out // what controls a terminal is what was asked for
	}
	result.ExitCode, err = call.Receive(stdout, stderr)
	return result, err
}

// shown ends exec with the exit code of its command.
func shown(s *session.Session, result runtime.ExecResult) error {
	if s.JSON {
		s.PrintJSON(executed{result.ExitCode, string(result.Stdout), string(result.Stderr), result.Truncated})
	}
	if result.Truncated {
		s.Fault(fault.New(fault.Invalid, "the output of the command is cut: with --json exec shows the first %d KiB of each stream; the command exited with code %d",
			runtime.MaxExecOutput>>10, result.ExitCode).WithHint("run it without --json"))
		return exit.Incomplete
	}
	if result.ExitCode != 0 {
		return exit.Code(result.ExitCode)
	}
	return nil
}

// kept keeps the beginning of an output.
type kept struct {
	result *runtime.ExecResult
	stderr bool
}

func (k kept) Write(p []byte) (int, error) {
	k.result.Print(k.stderr, p)
	return len(p), nil
}

// passSignals passes signals on to the command, and the size of the terminal. A second
// interrupt ends the stream, which the returned function reports.
func passSignals(ctx context.Context, call *stream.Call, screen *screen) (ended func() (interrupted bool)) {
	got := make(chan os.Signal, 4)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGWINCH)
	stop, done := make(chan struct{}), make(chan bool, 1)
	go func() {
		interrupts := 0
		interrupt := func(name string) {
			if interrupts++; interrupts > 1 {
				call.Close()
				return
			}
			_ = call.Signal(name)
		}
		cancelled := ctx.Done()
		for {
			select {
			case <-stop:
				done <- interrupts > 1
				return
			case <-cancelled: // if a signal did that, got has it too
				cancelled = nil
				select {
				case s := <-got:
					interrupt(nameOf(s))
				case <-time.After(signalPause):
					if interrupts == 0 {
						interrupt("INT")
					}
				}
			case s := <-got:
				switch {
				case s == syscall.SIGWINCH && screen != nil:
					_ = call.Resize(screen.size())
				case s == syscall.SIGWINCH:
				case s == os.Interrupt || s == syscall.SIGTERM:
					interrupt(nameOf(s))
				default:
					_ = call.Signal(nameOf(s))
				}
			}
		}
	}()
	return func() bool {
		signal.Stop(got)
		close(stop)
		return <-done
	}
}

// signalPause is how long the context of a command may end before its signal is seen.
const signalPause = 100 * time.Millisecond

func nameOf(s os.Signal) string {
	switch s {
	case syscall.SIGTERM:
		return "TERM"
	case syscall.SIGHUP:
		return "HUP"
	case syscall.SIGQUIT:
		return "QUIT"
	}
	return "INT"
}

// screen is the terminal of the operator.
type screen struct {
	in  *os.File
	out io.Writer
	fd  int // of what is shown
}

// terminalOf returns the terminal for a command that is to have one; nil for none.
func terminalOf(s *session.Session, o execOptions) (*screen, error) {
	if !o.tty {
		return nil, nil
	}
	in, isFile := s.Stdin.(*os.File)
	out, shows := ui.Behind(s.Stdout).(*os.File)
	if s.JSON || !isFile || !shows || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil, exit.Usage(fault.New(fault.Invalid, "-t needs a terminal: standard input and output are not both one").
			WithHint("leave -t out; input that is a pipe or a file is passed on without -i"))
	}
	return &screen{in, out, int(out.Fd())}, nil
}

func (s *screen) size() stream.Size {
	width, height, err := term.GetSize(s.fd)
	if err != nil {
		return stream.Size{Rows: 24, Columns: 80}
	}
	return stream.Size{Rows: uint16(height), Columns: uint16(width)}
}

// raw makes the terminal pass every key on.
func (s *screen) raw() (restore func(), err error) {
	state, err := term.MakeRaw(int(s.in.Fd()))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "prepare the terminal")
	}
	return func() { _ = term.Restore(int(s.in.Fd()), state) }, nil
}
