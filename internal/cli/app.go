package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/interceptor"
	"golang.org/x/term"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
)

// App has the streams and the environment of a command; a test injects its own.
type App struct {
	Stdout, Stderr io.Writer
	// Stdin has the answers to what a verb asks before it destroys something.
	// Interactive reports whether an operator can give them; nil for never.
	Stdin       io.Reader
	Interactive func() bool
	// Getenv reads the environment.
	Getenv func(string) string
	// Interceptors see every activity that a verb's own workers run.
	Interceptors []interceptor.WorkerInterceptor
	// Lasting is called by a verb that then runs until it is interrupted; nil for
	// nothing to do.
	Lasting func()
	// AskLater runs this completion again in another process, to learn what is new;
	// nil to ask for it before answering.
	AskLater func()

	// screen is the terminal that shows what is under way; nil for none.
	screen *ui.Screen
}

// Main runs mcp with the process's own arguments and returns the exit code. A verb
// that runs until it is interrupted calls lasting first.
func Main(lasting func()) int {
	screen := ui.Terminal(os.Stderr, os.Getenv)
	app := &App{
		Stdout: screen.Above(ui.Guarded(os.Stdout)), Stderr: screen.Above(ui.Guarded(os.Stderr)), Stdin: os.Stdin,
		Interactive: atTerminal, Getenv: os.Getenv, Lasting: lasting, AskLater: askLater, screen: screen,
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	return app.Run(ctx, os.Args[1:])
}

// atTerminal reports whether a question can be seen, and answered.
func atTerminal() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
}

// Run runs one command and returns its exit code: see package exit.
func (a *App) Run(ctx context.Context, args []string) int {
	s := a.newSession()
	out := &ui.Output{Writer: a.Stdout}
	s.Stdout = out
	root := newRoot(s)
	root.SetArgs(args)
	root.SetOut(s.Stdout)
	root.SetErr(s.Stderr)
	if slices.Contains(args, cobra.ShellCompRequestCmd) || slices.Contains(args, cobra.ShellCompNoDescRequestCmd) {
		addCompletions(root, s) // a millisecond that no other command needs to spend
	}
	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) {
		understood = true
		logrus.SetOutput(s.Stderr) // podman's bindings log to it
		if !s.Debug {
			logrus.SetOutput(io.Discard)
		}
	}
	err := root.ExecuteContext(ctx)
	if err != nil && !understood {
		err = exit.Usage(err)
		s.JSON = s.JSON || asksJSON(args)
	}
	if err == nil && out.Err != nil {
		err = fmt.Errorf("write the result: %w", out.Err)
	}
	if err == nil {
		return int(exit.Done)
	}
	return int(fail(s, err))
}

// asksJSON finds --json in a command line that cannot be parsed.
func asksJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "-j")
}

// fail shows an error, in one shape for all verbs, and returns the exit code.
func fail(s *session.Session, err error) exit.Code {
	if code, ok := exit.CodeOf(err); ok {
		return code
	}
	code, f := exit.Classify(err)
	if s.JSON {
		s.PrintJSON(failure{f})
	}
	s.Fault(f)
	return code
}

// Root returns the root command, with all verbs.
func (a *App) Root() *cobra.Command { return newRoot(a.newSession()) }

// newSession returns what the verbs receive.
func (a *App) newSession() *session.Session {
	return &session.Session{
		Console: ui.Console{Stdout: a.Stdout, Stderr: a.Stderr, Stdin: a.Stdin, Interactive: a.Interactive, Screen: a.screen},
		Getenv:  a.Getenv, Version: version, Interceptors: a.Interceptors, Lasting: a.Lasting, AskLater: a.AskLater,
	}
}
