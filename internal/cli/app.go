// Package cli is mcp's command line: one file per verb, and how results are
// rendered. It speaks to Temporal alone.
package cli

import (
	"context"
	"errors"
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
)

// version is set by the linker.
var version = "dev"

// App is what a verb gets of the outside; a test injects its own.
type App struct {
	Stdout, Stderr io.Writer
	// Stdin answers what a verb asks before it destroys something, where
	// Interactive says that somebody sits before it; nil says that nobody does.
	Stdin       io.Reader
	Interactive func() bool
	// Getenv reads the environment.
	Getenv func(string) string
	// Interceptors see every activity that a verb's own workers run.
	Interceptors []interceptor.WorkerInterceptor
	// Lasting is called by a verb that then runs until it is told to end; nil
	// for nothing to do.
	Lasting func()
	// AskLater runs this completion once more when it is over, to learn what is
	// new; nil to ask what is not fresh before answering.
	AskLater func()

	configFile string
	json       bool
	debug      bool
	// building is whether this process serves the builds of what it follows.
	building bool
	// prefix is before each line that tells of one deploy of several.
	prefix string
	// screen is the terminal that shows what is under way; nil for none.
	screen *screen
}

// Main runs mcp with the process's own arguments and returns the exit code. A
// verb that runs until it is told to end calls lasting first.
func Main(lasting func()) int {
	screen := terminal(os.Stderr, os.Getenv)
	app := &App{
		Stdout: screen.above(os.Stdout), Stderr: screen.above(os.Stderr), Stdin: os.Stdin,
		Interactive: atTerminal, Getenv: os.Getenv, Lasting: lasting, AskLater: again, screen: screen,
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

// Run runs one command and returns its exit code: 0 done, 1 failed and put
// back, 2 bad usage or definition, 3 failed and dirty, 4 no control plane.
func (a *App) Run(ctx context.Context, args []string) int {
	out := &output{Writer: a.Stdout}
	a.Stdout = out
	root := a.Root()
	root.SetArgs(args)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	if slices.Contains(args, cobra.ShellCompRequestCmd) || slices.Contains(args, cobra.ShellCompNoDescRequestCmd) {
		a.complete(root) // nobody else needs it, and it takes a millisecond
	}
	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) {
		understood = true
		if !a.debug {
			logrus.SetOutput(io.Discard) // podman's bindings log to it
		}
	}
	err := root.ExecuteContext(ctx)
	if err != nil && !understood {
		err = usageError{err}
		a.json = a.json || asksJSON(args)
	}
	if err == nil && out.err != nil {
		err = fmt.Errorf("write the result: %w", out.err)
	}
	if err == nil {
		return 0
	}
	return a.fail(err)
}

// output remembers that something could not be written. That a reader has
// closed its pipe is its own wish, and no error.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil && !errors.Is(err, syscall.EPIPE) {
		o.err = err
	}
	return n, err
}

// behind is what writes in the end where a writer of this package does.
func behind(w io.Writer) io.Writer {
	switch wrapper := w.(type) {
	case *output:
		return behind(wrapper.Writer)
	case aboveWriter:
		return behind(wrapper.out)
	}
	return w
}

// asksJSON looks for --json in a command line that cannot be parsed.
func asksJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "-j")
}

// Root makes the command that all others are below.
func (a *App) Root() *cobra.Command {
	root := &cobra.Command{
		Use:           "mcp",
		Short:         "Build, push, deploy and watch containers on a small fleet of podman hosts",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration file (default: the nearest .mcp-dev/mcp.toml, then the user's, then /etc/mcp/mcp.toml)")
	flags.BoolVarP(&a.json, "json", "j", false, "print one JSON object on stdout")
	flags.BoolVar(&a.debug, "debug", false, "show whole error chains and the SDK's log")
	root.AddCommand(
		newDeploy(a), newBuild(a), newPlan(a), newSync(a), newAdopt(a), newStatus(a), newPs(a),
		newCancel(a), newRollback(a), newUndeploy(a), newHistory(a), newEvents(a), newNode(a),
		newStop(a), newStart(a), newRestart(a), newPurge(a), newLogs(a), newExec(a), newDoctor(a), newOpen(a),
		newWorker(a), newDev(a), newMigrate(a), newService(a), newConfig(a), newCompletion(), newVersion(a),
	)
	return root
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitError asks for an exit code without another word.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// args makes a positional-argument check a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return usageError{fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

func asExit(err error) (int, bool) {
	var code exitError
	ok := errors.As(err, &code)
	return int(code), ok
}

// lasts says that this verb runs until it is told to end.
func (a *App) lasts() {
	if a.Lasting != nil {
		a.Lasting()
	}
}
