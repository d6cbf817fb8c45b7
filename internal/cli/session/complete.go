package session

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// Completer finds what a word may be, given the words before it. What cannot be
// found in time is left out, silently.
type Completer func(ctx context.Context, s *Session, cfg *config.Config, before []string, word string) []cobra.Completion

// Peek runs a read for a completion, which prints nothing.
func (s *Session) Peek(ctx context.Context, cfg *config.Config, workflow string, in, out any) error {
	silent := *s
	silent.Stderr = io.Discard
	c, err := silent.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	return silent.Read(ctx, c, "complete", workflow, in, out)
}

// Parts are the names of a service's components, of those that are jobs, of its steps, of
// the images that it builds, of its nodes and of its environments.
type Parts struct{ Components, Jobs, Steps, Images, Nodes, Environments []string }

// PartsOf returns the parts of a definition; nil has none.
func PartsOf(s *servicedef.Service) Parts {
	if s == nil {
		return Parts{}
	}
	var jobs, steps []string
	for _, c := range s.Jobs() {
		jobs = append(jobs, c.Name)
	}
	for _, step := range s.Steps {
		steps = append(steps, step.Name)
	}
	return Parts{Components: ComponentNames(s), Jobs: jobs, Steps: steps, Images: ImageNames(s), Nodes: workflows.Nodes(*s)}
}

// Defined returns the services of the services directory whose definitions are
// valid, by name. They are remembered until a file changes.
func (s *Session) Defined(cfg *config.Config) map[string]Parts {
	if cfg.Services == "" {
		return nil
	}
	found, key := map[string]Parts{}, listing(cfg.Services)
	if remembered, _ := s.recall(key, &found); remembered {
		return found
	}
	if dir, err := servicedir.Read(cfg.Services); err == nil {
		sound, _ := dir.Services()
		for name, service := range sound {
			parts := PartsOf(service)
			parts.Environments = dir.EnvironmentsOf(name)
			found[name] = parts
		}
	}
	s.remember(key, found)
	return found
}

// listing returns a key for a directory with the files that it has now.
func listing(dir string) string {
	entries, _ := os.ReadDir(dir) // none are as good a key
	list := fmt.Sprintf("%q", dir)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			list += fmt.Sprintf(" %q %d %d", info.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return list
}

// PastDeployment is a deployment that can be named by its number. Release reports whether
// a rollback can go back to it.
type PastDeployment struct {
	Number  int
	Text    string
	Release bool
}

// CompleteDeployment finds those deployments of a service that are wanted, newest
// first.
func (s *Session) CompleteDeployment(ctx context.Context, cfg *config.Config, service string, wanted func(PastDeployment) bool) []cobra.Completion {
	past := Remembered(ctx, s, cfg, "deployments of "+service, false, func(ctx context.Context) ([]PastDeployment, error) {
		var known reads.HistoryResult
		err := s.Peek(ctx, cfg, reads.HistoryName, reads.HistoryInput{Service: service}, &known)
		return pastDeployments(known), err
	})
	var list []cobra.Completion
	for _, d := range past {
		if wanted(d) {
			list = append(list, cobra.CompletionWithDesc(strconv.Itoa(d.Number), d.Text))
		}
	}
	return list
}

func pastDeployments(known reads.HistoryResult) []PastDeployment {
	var list []PastDeployment
	for _, d := range known.Deployments {
		list = append(list, PastDeployment{
			Number:  d.Number,
			Text:    fmt.Sprintf("%s, %s, %s", d.Verb, cmp.Or(d.Outcome, "under way"), ui.Moment(d.Started)),
			Release: d.Succeeded() && fleet.Verb(d.Verb) != fleet.VerbUndeploy,
		})
	}
	return list
}
