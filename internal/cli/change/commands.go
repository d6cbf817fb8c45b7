package change

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/adoption"
	"github.com/metacircular/mcp/workflows"
)

// Commands returns the verbs.
func Commands(s *session.Session) []*cobra.Command {
	return []*cobra.Command{
		newDeploy(s), newBuild(s), newSync(s), newAdopt(s), newCancel(s), newRollback(s), newUndeploy(s),
		newStop(s), newStart(s), newRestart(s), newPurge(s), newMaintenance(s),
	}
}

// Results returns the types of what each verb prints with --json, the usual one
// first.
func Results() map[string][]any {
	deployed := []any{workflows.Result{}, follow.Detached{}}
	return map[string][]any{
		"deploy":   {workflows.Result{}, []workflows.Result{}, follow.Detached{}},
		"rollback": deployed, "undeploy": deployed, "cancel": deployed,
		"stop": deployed, "start": deployed, "restart": deployed,
		"purge": {workflows.Result{}, fleet.Forgotten{}, follow.Detached{}},
		"adopt": {workflows.Result{}, adoption.Adoption{}, follow.Detached{}},
		"build": {workflows.BuildResult{}, follow.Detached{}},
		"sync":  {[]synced{}},

		"build log":  {buildLog{}},
		"build sign": {[]signedImage{}, newSigningKey{}},

		"maintenance": {maintained{}},
	}
}

// Completers returns the completions of the flags and the arguments of these verbs.
func Completers() map[string]session.Completer {
	return map[string]session.Completer{"--to": completeRelease, "on|off": completeOnOff, "IMAGE": completeImage, "--progress": completeProgress}
}

// completeRelease finds the releases of the service that the first argument names,
// newest first.
func completeRelease(ctx context.Context, s *session.Session, cfg *config.Config, before []string, _ string) []cobra.Completion {
	if len(before) == 0 {
		return nil
	}
	return s.CompleteDeployment(ctx, cfg, before[0], func(d session.PastDeployment) bool { return d.Release })
}

// completeImage finds the images that are built by the service that the first argument
// names.
func completeImage(_ context.Context, s *session.Session, cfg *config.Config, before []string, _ string) []cobra.Completion {
	if len(before) == 0 {
		return nil
	}
	return s.Defined(cfg)[before[0]].Images
}

func completeProgress(context.Context, *session.Session, *config.Config, []string, string) []cobra.Completion {
	return []cobra.Completion{progressAuto, progressPlain}
}
