package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
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
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "exec SERVICE/COMPONENT -- COMMAND [ARGUMENT…]",
		Short: "Run a command in a running container",
		Long: `Exec runs a command in the running container of a component, once. When the
command has ended, exec shows its output and exits with its exit code. There is no
terminal, and the command's standard input is empty. The first 256 KiB of each
output stream are shown. Command and output pass through Temporal, which retains
them like any workflow.

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
			if timeout <= 0 {
				return exit.Usage(fmt.Errorf("--timeout must be a positive duration, such as 1m, not %s", timeout))
			}
			return runExec(cmd.Context(), s, args[0], args[1:], timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for the command")
	return cmd
}

func runExec(ctx context.Context, s *session.Session, target string, command []string, timeout time.Duration) error {
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
		s.Say("the rest of its output is left out")
	}
	if result.ExitCode != 0 {
		return exit.Code(result.ExitCode)
	}
	return nil
}
