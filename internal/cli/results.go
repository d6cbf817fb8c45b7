package cli

import (
	"maps"

	"github.com/metacircular/mcp/internal/cli/change"
	"github.com/metacircular/mcp/internal/cli/edge"
	"github.com/metacircular/mcp/internal/cli/identity"
	"github.com/metacircular/mcp/internal/cli/inspect"
	"github.com/metacircular/mcp/internal/cli/job"
	"github.com/metacircular/mcp/internal/cli/key"
	"github.com/metacircular/mcp/internal/cli/local"
	"github.com/metacircular/mcp/internal/cli/node"
	"github.com/metacircular/mcp/internal/cli/reach"
	"github.com/metacircular/mcp/internal/cli/secret"
	"github.com/metacircular/mcp/internal/cli/service"
	"github.com/metacircular/mcp/internal/fault"
)

// failure is what --json prints where there is no result.
type failure struct {
	Error *fault.Error `json:"error"`
}

// Results returns the types of what each verb prints with --json, the usual one first
// and a failure last; docs/schemas is made of them. A verb that is not in it prints
// nothing.
func Results() map[string][]any {
	all := map[string][]any{"version": {thisVersion{}}}
	for _, group := range []map[string][]any{
		change.Results(), inspect.Results(), node.Results(), service.Results(), local.Results(), edge.Results(), job.Results(), key.Results(),
		secret.Results(), identity.Results(), reach.Results(),
	} {
		maps.Copy(all, group)
	}
	for verb, results := range all {
		all[verb] = append(results[:len(results):len(results)], failure{})
	}
	return all
}
