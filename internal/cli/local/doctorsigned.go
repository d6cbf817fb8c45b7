package local

import (
	"context"
	"errors"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/workers"
)

// checkSigned checks whether this host's podman, too, checks the signatures that the
// node's worker checks.
func checkSigned(ctx context.Context, cfg *config.Config) []finding {
	const check = "signatures"
	if cfg.Node.Name == "" || len(cfg.ImageRegistry.RequireSignature) == 0 {
		return nil
	}
	files, err := workers.PodmanFiles(ctx, cfg.Node.Socket, cfg.ImageRegistry.RequireSignature, "")
	if errors.Is(err, workers.ErrNoSigstore) {
		return []finding{ok(check, "the node's worker requires them; podman itself cannot, because it is built without")}
	}
	if err != nil {
		return []finding{fail(check, exit.FaultOf(err))}
	}
	var missing []string
	for _, f := range files {
		if !f.Current {
			missing = append(missing, f.Path)
		}
	}
	if len(missing) > 0 {
		return []finding{warn(check, "mcp node signatures prints them", "the node's worker requires signatures, and podman itself does not: %s lacks them", strings.Join(missing, " and "))}
	}
	return []finding{ok(check, "the node's worker and podman itself require them")}
}
