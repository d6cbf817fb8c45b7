package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// DeployInput is what a deployment depends on: the whole definition, so that no
// file can change under it.
type DeployInput struct {
	Verb fleet.Verb `json:"verb"`
	// Definition is the one to bring the service to. If the verb starts from the release,
	// only the definition's name counts.
	Definition servicedef.Service `json:"definition"`
	// Only names the components to deploy; empty means all.
	Only []string `json:"only,omitempty"`
	// Force replaces what has not changed.
	Force bool `json:"force,omitempty"`
	// NoCache runs every step of what is built again.
	NoCache bool `json:"no_cache,omitempty"`
	// Deadline is how long to wait for what is down; DefaultDeadline if zero.
	Deadline time.Duration `json:"deadline,omitempty"`
	// Builder is the builder that has the sources; "" if there is none.
	Builder string `json:"builder,omitempty"`
	// Release is the number of the release that a rollback or a reconcile brings
	// back. Digests are what its images stood for: they run again, wherever the
	// tags point now, and nothing is built.
	Release int               `json:"release,omitempty"`
	Digests map[string]string `json:"digests,omitempty"`
	// Secret is the one whose newest version a rotation brings.
	Secret string `json:"secret,omitempty"`
	// Who asked, and from which machine.
	Who  string `json:"who"`
	From string `json:"from"`
}

// Workflow is the name of the workflow that does it.
func (in DeployInput) Workflow() string { return DeployName }

// ServiceName names the service.
func (in DeployInput) ServiceName() string { return in.Definition.Name }

// Word is the verb.
func (in DeployInput) Word() string { return string(in.Verb) }

// Participle is what becomes of the service, such as "deployed".
func (in DeployInput) Participle() string {
	row, _ := rowOf(in.Verb) // an unknown verb has none
	return row.participle
}

// Removes reports whether the service's containers go without successors.
func (in DeployInput) Removes() bool {
	row, _ := rowOf(in.Verb)
	return row.removes
}

// Timeout is how long the deployment waits for what is down.
func (in DeployInput) Timeout() time.Duration {
	if in.Deadline <= 0 {
		return DefaultDeadline
	}
	return in.Deadline
}

// Hash is equal for two deployments that ask for the same thing.
func (in DeployInput) Hash() string {
	hash := in.Definition.Hash()
	for _, name := range in.Only {
		hash += "/" + name
	}
	if in.Force {
		hash += "/force"
	}
	if in.NoCache {
		hash += "/no-cache"
	}
	if in.Secret != "" {
		hash += "/" + in.Secret
	}
	if row, _ := rowOf(in.Verb); row.alias != "" {
		return hash + "/" + string(row.alias)
	}
	return hash + "/" + string(in.Verb)
}

// Summary is the deployment in a line, for Temporal's UI.
func (in DeployInput) Summary() string { return summarize(in, in.Who) }

// Details are what Temporal's UI shows about the deployment, in Markdown.
func (in DeployInput) Details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**, asked for by %s on %s\n\n", in.Definition.Name, in.Who, in.From)
	for _, c := range in.Definition.Components {
		fmt.Fprintf(&b, "- `%s` on %s: `%s`\n", c.Name, c.Node, c.Image)
	}
	return b.String()
}

// Memo is what a client reads of the deployment without its history.
func (in DeployInput) Memo() map[string]any { return memoOf(in, in.Who, in.From) }

// Attributes are what the deployment is found by.
func (in DeployInput) Attributes() temporal.SearchAttributes {
	return temporal.NewSearchAttributes(SearchService.ValueSet(in.Definition.Name), SearchNode.ValueSet(Nodes(in.Definition)))
}

// Nodes are the nodes that a definition names, each once, in its order.
func Nodes(definition servicedef.Service) []string {
	var nodes []string
	seen := map[string]bool{}
	for _, c := range definition.Components {
		if !seen[c.Node] {
			seen[c.Node] = true
			nodes = append(nodes, c.Node)
		}
	}
	return nodes
}

// PurgeInput names a service to forget.
type PurgeInput struct {
	Service string `json:"service"`
	// Deadline is how long to wait for what is down; DefaultDeadline if zero.
	Deadline time.Duration `json:"deadline,omitempty"`
	// Who asked, and from which machine.
	Who  string `json:"who"`
	From string `json:"from"`
}

// Workflow is the name of the workflow that does it.
func (in PurgeInput) Workflow() string { return PurgeName }

// ServiceName names the service.
func (in PurgeInput) ServiceName() string { return in.Service }

// Word is "purge", which is not a verb of a deployment: none is left.
func (in PurgeInput) Word() string { return "purge" }

// Participle is what becomes of the service.
func (in PurgeInput) Participle() string { return "purged" }

// Removes reports that no container goes.
func (in PurgeInput) Removes() bool { return false }

// Timeout is how long the purge waits for what is down.
func (in PurgeInput) Timeout() time.Duration {
	if in.Deadline <= 0 {
		return DefaultDeadline
	}
	return in.Deadline
}

// Hash is equal for all purges of a service.
func (in PurgeInput) Hash() string { return in.Word() + "/" + in.Service }

// Summary is the purge in a line, for Temporal's UI.
func (in PurgeInput) Summary() string { return summarize(in, in.Who) }

// Details are what Temporal's UI shows about the purge, in Markdown.
func (in PurgeInput) Details() string {
	return fmt.Sprintf("**%s**, asked for by %s on %s\n", in.Service, in.Who, in.From)
}

// Memo is what a client reads of the purge without its history.
func (in PurgeInput) Memo() map[string]any { return memoOf(in, in.Who, in.From) }

// Attributes are what the purge is found by.
func (in PurgeInput) Attributes() temporal.SearchAttributes {
	return temporal.NewSearchAttributes(SearchService.ValueSet(in.Service))
}

// OperationOf decodes the input of an operation's workflow.
func OperationOf(workflow string, decode func(into any) error) (Operation, error) {
	if workflow == PurgeName {
		var in PurgeInput
		err := decode(&in)
		return in, err
	}
	var in DeployInput
	err := decode(&in)
	return in, err
}
