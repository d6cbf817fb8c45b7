package onnode

import (
	"context"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// PruneSecretsInput says which secrets of a service a node keeps.
type PruneSecretsInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	Run        string `json:"run,omitempty"`
	// Keep are the engine's names of the versions that stay, in addition to those that a
	// container has.
	Keep []string `json:"keep,omitempty"`
}

// PruneSecretsResult names the removed ones.
type PruneSecretsResult struct {
	Pruned []string `json:"pruned,omitempty"`
}

// PruneSecrets removes the engine's secrets that mcp has made for a service and that
// neither stay nor belong to a container, running or not. It stops when a newer deployment
// has begun.
func (a *Node) PruneSecrets(ctx context.Context, in PruneSecretsInput) (PruneSecretsResult, error) {
	result, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (PruneSecretsResult, error) {
		r.Set("prune", "secrets of "+in.Service)
		s := step{service: in.Service, identity: identity{in.Deployment, in.Run}}
		return inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (PruneSecretsResult, error) {
			if !a.secretUse.TryLock() {
				return PruneSecretsResult{}, fault.New(fault.Conflict, "a container of node %s is about to have secrets", a.Name)
			}
			defer a.secretUse.Unlock()
			return pruneSecrets(ctx, engine, in)
		})
	})
	if err != nil {
		err = a.placed(err, "")
	}
	return result, err
}

func pruneSecrets(ctx context.Context, engine runtime.Runtime, in PruneSecretsInput) (PruneSecretsResult, error) {
	var result PruneSecretsResult
	kept, err := engine.Secrets(ctx)
	if err != nil {
		return result, err
	}
	used, err := secretsOf(ctx, engine, in.Service)
	if err != nil {
		return result, err
	}
	needed := map[string]bool{}
	for _, name := range in.Keep {
		needed[engineName(name)] = true
	}
	for _, name := range used {
		needed[name] = true
	}
	for _, s := range kept {
		made := s.Labels[runtime.LabelSecret] != "" || s.Labels[runtime.LabelSecretParts] != ""
		if s.Labels[runtime.LabelService] != in.Service || !made || needed[s.Name] {
			continue
		}
		if err := engine.RemoveSecret(ctx, s.Name); err != nil {
			return result, err
		}
		result.Pruned = append(result.Pruned, s.Name)
	}
	return result, nil
}
