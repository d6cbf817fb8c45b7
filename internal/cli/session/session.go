package session

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
)

// Session is one command: its console, environment and flags. A copy with another
// console is that of one deploy of several.
type Session struct {
	ui.Console
	// Getenv reads the environment.
	Getenv func(string) string
	// Version is that of this mcp.
	Version string
	// Interceptors see every activity that a verb's own workers run.
	Interceptors []interceptor.WorkerInterceptor
	// Lasting is called by a verb that then runs until it is interrupted; nil for
	// nothing to do.
	Lasting func()
	// AskLater runs this completion again in another process, which asks the live
	// system; nil to ask it before answering.
	AskLater func()

	// ConfigFile is the flag --config, and Debug the flag --debug.
	ConfigFile string
	Debug      bool
	// Environment is the flag --env of a verb that takes services; "" for none. Their
	// names, as the verb sees them, have it already.
	Environment string
}

// Lasts announces that this verb runs until it is interrupted.
func (s *Session) Lasts() {
	if s.Lasting != nil {
		s.Lasting()
	}
}

// Follow returns the Follower of this session's workflows.
func (s *Session) Follow(c client.Client) follow.Follower {
	return follow.Follower{Console: &s.Console, Client: c}
}

// Builder returns the builder that this process can be, which does not run yet.
func (s *Session) Builder(c client.Client, cfg *config.Config) *follow.Builder {
	return &follow.Builder{Client: c, Config: cfg, Logger: s.Logger(), Version: s.Version, Interceptors: s.Interceptors}
}

// Logger returns the logger of the SDK and of a builder inside this process. It
// discards everything without --debug.
func (s *Session) Logger() *slog.Logger {
	if !s.Debug {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return slog.New(slog.NewTextHandler(s.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Identity returns the operator and the host of this command.
func (s *Session) Identity() (who, from string) {
	who = s.Getenv("USER")
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	from, err := os.Hostname()
	if err != nil {
		from = "unknown"
	}
	return who, from
}

// Args makes the error of a check of positional arguments a usage error.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return exit.Usage(fmt.Errorf("%w\nusage: %s", err, cmd.UseLine()))
		}
		return nil
	}
}
