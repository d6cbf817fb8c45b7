package podman

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Info is what podman says of itself. It starts conmon and the OCI runtime to
// ask for their versions, which takes half a second, so it is asked once for
// each version that its ping tells.
func (e *Engine) Info(ctx context.Context) (runtime.EngineInfo, error) {
	const doing = "ask podman about itself"
	version, err := e.Version(ctx)
	if err != nil {
		return runtime.EngineInfo{}, err
	}
	e.mu.Lock()
	known := e.info
	e.mu.Unlock()
	if known.Version == version {
		return known, nil
	}
	var told struct {
		Host  struct{ NetworkBackend, CgroupVersion string }
		Store struct{ GraphRoot string }
	}
	if err := e.ask(ctx, get("/info"), &told); err != nil {
		return runtime.EngineInfo{}, e.translate(ctx, err, doing)
	}
	if told.Store.GraphRoot == "" {
		return runtime.EngineInfo{}, fault.New(fault.Internal, "%s: its answer is not complete", doing)
	}
	known = runtime.EngineInfo{
		Version: version, Storage: told.Store.GraphRoot, Network: told.Host.NetworkBackend, Cgroups: told.Host.CgroupVersion,
	}
	e.mu.Lock()
	e.info = known
	e.mu.Unlock()
	return known, nil
}
