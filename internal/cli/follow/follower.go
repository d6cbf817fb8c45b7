package follow

import (
	"cmp"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/workflows"
)

// Follower follows workflows on behalf of one command.
type Follower struct {
	Console *ui.Console
	Client  client.Client
	// Builds reports whether this process is the builder of what it follows.
	Builds bool
	// Word is the verb of what it follows; "" for that of the workflow's id.
	Word string
	// ToEnd reports whether a deploy is followed until the containers before it are
	// gone, and not only until it has succeeded.
	ToEnd bool
}

// subject names what a workflow does, and the service.
func (f Follower) subject(run client.WorkflowRun) (word, service string) {
	word, service, _ = strings.Cut(run.GetID(), "/")
	return cmp.Or(f.Word, word), service
}

// Running is the outcome of a workflow that goes on without its command.
const Running workflows.Outcome = "running"

// Detached is what --json prints where a deploy or a build goes on without its
// command.
type Detached struct {
	Service    string `json:"service"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// Outcome is "running", or "succeeded" where only former containers are still to be
	// removed.
	Outcome workflows.Outcome `json:"outcome"`
}

// detach prints how to attach again to a workflow that goes on, and what it waits
// for meanwhile. Released is the result of a deploy that has succeeded, else nil.
func (f Follower) detach(run client.WorkflowRun, released *workflows.Result) error {
	word, service := f.subject(run)
	if released != nil {
		f.Console.Say("detached: the %s of %s has succeeded; its former containers are removed without this command", word, service)
		if f.Console.JSON {
			f.Console.PrintJSON(Detached{service, run.GetID(), run.GetRunID(), workflows.Succeeded})
		}
		return exit.Interrupted
	}
	f.Console.Say("detached: the %s of %s goes on in Temporal; the same command attaches again", word, service)
	if run.GetID() == workflows.DeployID(service) {
		f.Console.Say("mcp cancel %s stops it, and puts back what ran before", service)
	}
	if f.Builds {
		f.Console.Say("this command was its builder: a build waits until it runs again")
	}
	if f.Console.JSON {
		f.Console.PrintJSON(Detached{service, run.GetID(), run.GetRunID(), Running})
	}
	return exit.Interrupted
}
