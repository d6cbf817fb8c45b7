package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// executed is what mcp exec --json prints.
type executed struct {
	ExitCode int    `json:"exit_code"`
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
	// Truncated is set where the command has printed more.
	Truncated bool `json:"truncated"`
}

func newExec(s *session.Session) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec SERVICE/COMPONENT -- COMMAND [ARGUMENT…]",
		Short: "Run a command in a running container",
		Long: `Exec runs a command in the running container of a component, once. When the
command has ended, exec shows its output and exits with its exit code. Command and
output pass through Temporal, which retains them like any workflow.

There is no terminal, and the command's standard input is empty: exec runs
nothing where a pipe or a file gives it input, and with -i or -t. The first
256 KiB of each output stream are shown. Both the refusal and an output that is
cut have exit code 5. On the node, podman exec has neither limit.

After --timeout, or Ctrl-C, exec no longer waits for the command, which may
continue in the container.`,
		Example: "  mcp exec shop/api -- /shop migrate --dry-run",
		Args: session.Args(func(cmd *cobra.Command, given []string) error {
			if cmd.ArgsLenAtDash() != 1 || len(given) < 2 {
				return errors.New("give a component, and after -- a command")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.timeout <= 0 {
				return exit.Usage(fmt.Errorf("--timeout must be a positive duration, such as 1m, not %s", o.timeout))
			}
			return runExec(cmd.Context(), s, args[0], args[1:], o)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait for the command")
	flags.BoolVarP(&o.interactive, "interactive", "i", false, "pass standard input on: not supported, see above")
	flags.BoolVarP(&o.tty, "tty", "t", false, "give the command a terminal: not supported, see above")
	return cmd
}

type execOptions struct {
	timeout          time.Duration
	interactive, tty bool
}

// unsupported fails where exec would run the command without the input or the terminal
// that it is given.
func (o execOptions) unsupported(s *session.Session, target string) error {
	var f *fault.Error
	switch {
	case o.tty:
		f = fault.New(fault.Invalid, "exec has no terminal (-t): nothing was run").WithHint("%s", onNode(target, "-it "))
	case o.interactive:
		f = fault.New(fault.Invalid, "exec passes no standard input on (-i): nothing was run").WithHint("%s", onNode(target, "-i "))
	case givesInput(s.Stdin):
		f = fault.New(fault.Invalid, "exec passes no standard input on, and it is given some: nothing was run").
			WithHint("%s; where the command needs no input, add < /dev/null", onNode(target, "-i "))
	default:
		return nil
	}
	return exit.Cut(f)
}

// onNode is how to run a command in a container without the limits of exec.
func onNode(target, flags string) string {
	service, component, _ := strings.Cut(target, "/")
	return fmt.Sprintf("on its node, which mcp status %s shows: podman exec %s%s COMMAND", service, flags, servicedef.ContainerNameFor(service, cmp.Or(component, service)))
}

// givesInput reports whether a standard input is a pipe, a file or a socket. A terminal
// is not: who wants to type there says -i.
func givesInput(stdin io.Reader) bool {
	if stdin == nil {
		return false
	}
	file, ok := stdin.(*os.File)
	if !ok {
		return true
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice == 0
}

func runExec(ctx context.Context, s *session.Session, target string, command []string, o execOptions) error {
	if err := o.unsupported(s, target); err != nil {
		return err
	}
	timeout := o.timeout
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	service, component, _ := strings.Cut(target, "/")
	var result workflows.ExecResult
	err = s.Read(ctx, c, "exec", workflows.ExecName, workflows.ExecInput{
		Service: service, Component: component, Command: command, Timeout: timeout,
	}, &result, session.Within(timeout))
	if err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(executed{result.ExitCode, string(result.Stdout), string(result.Stderr), result.Truncated})
	} else {
		_, _ = s.Stdout.Write(result.Stdout)
		_, _ = s.Stderr.Write(result.Stderr)
	}
	if result.Truncated {
		s.Fault(fault.New(fault.Invalid, "the output of the command is cut: exec shows the first %d KiB of each stream; the command exited with code %d",
			runtime.MaxExecOutput>>10, result.ExitCode).WithHint("%s", onNode(target, "")))
		return exit.Incomplete
	}
	if result.ExitCode != 0 {
		return exit.Code(result.ExitCode)
	}
	return nil
}
