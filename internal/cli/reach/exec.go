package reach

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
	"github.com/metacircular/mcp/internal/config"
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
		Long: `Exec runs a command in the running container of a component, once, and exits
with its exit code.

Through a gateway its input and its output are a stream of the node, of any
size. It gets the standard input where that is a pipe or a file, or with -i. With
-t it has a terminal. Ctrl-C, SIGTERM, SIGHUP and SIGQUIT go to the command; a
second Ctrl-C ends exec. Where the stream breaks, or exec ends first, the command
gets SIGHUP, and the exit code is 5.

Without a gateway the command and its output pass through Temporal, which retains
them like any workflow. Then there is no terminal and no input: exec runs nothing
where a pipe or a file gives it input, and with -i or -t. The first 256 KiB of
each output stream are shown. Both the refusal and an output that is cut have
exit code 5. After --timeout, a minute then, or Ctrl-C, exec no longer waits for
the command, which may continue in the container.`,
		Example: "  mcp exec shop/api -- /shop migrate --dry-run\n  mcp exec shop/db -- pg_dump shop > shop.sql\n  mcp exec -it shop/db -- psql shop",
		Args: session.Args(func(cmd *cobra.Command, given []string) error {
			if cmd.ArgsLenAtDash() != 1 || len(given) < 2 {
				return errors.New("give a component, and after -- a command")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.timeout < 0 || cmd.Flags().Changed("timeout") && o.timeout == 0 {
				return exit.Usage(fmt.Errorf("--timeout must be a positive duration, such as 1m, not %s", o.timeout))
			}
			return runExec(cmd.Context(), s, args[0], args[1:], o)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.timeout, "timeout", 0, "how long to wait for the command (default: until it ends)")
	flags.BoolVarP(&o.interactive, "interactive", "i", false, "pass standard input on, also from a terminal")
	flags.BoolVarP(&o.tty, "tty", "t", false, "give the command a terminal")
	return cmd
}

type execOptions struct {
	timeout          time.Duration
	interactive, tty bool
}

// unsupported returns an error if exec would run the command without the input or the
// terminal that it is given.
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

// onNode returns how to run a command in a container without the limits of exec.
func onNode(target, flags string) string {
	service, component, _ := strings.Cut(target, "/")
	return fmt.Sprintf("on its node, which mcp status %s shows: podman exec %s%s COMMAND", service, flags, servicedef.ContainerNameFor(service, cmp.Or(component, service)))
}

// givesInput reports whether a standard input is a pipe, a file or a socket. A terminal
// is not: a user who wants to type there says -i.
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
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	options, err := cfg.TemporalOptions()
	if err != nil {
		return exit.Usage(err)
	}
	if !config.ThroughDoor(options) {
		if err := o.unsupported(s, target); err != nil {
			return err
		}
	}
	c, err := s.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if config.ThroughDoor(options) {
		return streamExec(ctx, s, cfg, c, target, command, o)
	}
	timeout := cmp.Or(o.timeout, time.Minute)
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
