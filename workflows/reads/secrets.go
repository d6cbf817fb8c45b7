package reads

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows/call"
)

// SecretsInput selects secrets.
type SecretsInput struct {
	// Service selects one, with all versions; "" means all, with the newest ones.
	Service string `json:"service,omitempty"`
	// Page asks for only the newest versions, and for no release.
	Page bool `json:"page,omitempty"`
	// After is the last version of the previous page; zero for the first page.
	After secrets.Ref `json:"after,omitzero"`
	// Builder is one to ask for its key, and for nothing else.
	Builder string `json:"builder,omitempty"`
}

// SecretsResult is a page of what is recorded of secrets.
type SecretsResult struct {
	// Secrets are as oncontrol.ListSecretsResult has them.
	Secrets []secrets.Secret `json:"secrets"`
	// More is set if others follow the page.
	More bool `json:"more,omitempty"`
	// Nodes are those of the fleet, with their keys. Only the first page has them.
	Nodes []fleet.NodeRecord `json:"nodes"`
	// Release is that of the service, if one was named, without its secrets. Only the first
	// page has it.
	Release *fleet.Release `json:"release,omitempty"`
	// Builder is the one that was named.
	Builder *onbuilder.BuilderKeyResult `json:"builder,omitempty"`
}

// Next returns the number that the next version of a secret gets.
func (r SecretsResult) Next(service, name string) int {
	for _, secret := range r.Secrets {
		if secret.Service == service && secret.Name == name {
			return max(secret.Newest, secret.Last) + 1
		}
	}
	return 1
}

// Secrets reads a page of what is recorded of secrets, and to whom a value could be sealed.
// It returns no value.
func Secrets(ctx workflow.Context, in SecretsInput) (*SecretsResult, error) {
	if in.Builder != "" {
		return builderKey(ctx, in.Builder)
	}
	found, err := call.Control(ctx, "list secrets", call.ReadTimeout, control.ListSecrets, oncontrol.ListSecretsInput{Service: in.Service, Page: in.Page, After: in.After})
	if err != nil {
		return nil, call.Failure(err)
	}
	result := &SecretsResult{Secrets: found.Secrets, More: found.More}
	if in.After != (secrets.Ref{}) {
		return result, nil
	}
	if result.Nodes, err = call.ControlQuery(ctx, "list nodes", call.ReadTimeout, control.ListNodes); err != nil {
		return nil, call.Failure(err)
	}
	if in.Service != "" && !in.Page {
		release, err := call.Control(ctx, "load the release", call.ReadTimeout, control.LoadRelease, in.Service)
		if err != nil {
			return nil, call.Failure(err)
		}
		release.Secrets = nil
		result.Release = &release
	}
	return result, nil
}

// builderKey asks a builder for its key.
func builderKey(ctx workflow.Context, name string) (*SecretsResult, error) {
	step := call.BuilderStep(ctx, name, "ask builder "+name+" for its key")
	result := &SecretsResult{Builder: &onbuilder.BuilderKeyResult{}}
	if err := workflow.ExecuteActivity(step, builder.BuilderKey).Get(ctx, result.Builder); err != nil {
		return nil, call.Failure(call.BuilderFault(err, name))
	}
	return result, nil
}

// Envelopes reads sealed values, which only the recipients of each can open.
func Envelopes(ctx workflow.Context, in oncontrol.LoadEnvelopesInput) (*oncontrol.LoadEnvelopesResult, error) {
	found, err := call.Control(ctx, "load sealed secrets", call.ReadTimeout, control.LoadEnvelopes, in)
	if err != nil {
		return nil, call.Failure(err)
	}
	return &found, nil
}
