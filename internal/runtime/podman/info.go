package podman

import (
	"context"
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/peer"
)

// Connect is New for a podman that must answer now.
func Connect(ctx context.Context, socket string) (*Engine, error) {
	e := New(socket)
	if _, err := e.Version(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Version returns "podman" and the version of its service. It reads the version
// from the answer to a ping, which takes a millisecond; podman's version endpoint
// also starts conmon and the OCI runtime, and takes half a second.
func (e *Engine) Version(ctx context.Context) (string, error) {
	const doing = "read podman's version"
	response, err := e.send(ctx, get("/_ping"))
	if err != nil {
		return "", e.translate(ctx, err, doing)
	}
	defer func() { _ = response.Body.Close() }()
	version := response.Header.Get("Libpod-API-Version")
	if !response.IsSuccess() || version == "" {
		return "", e.translate(ctx, fmt.Errorf("podman answers %s", response.Status), doing)
	}
	return "podman " + version, nil
}

// Info describes podman. The call takes half a second, because podman starts
// conmon and the OCI runtime for their versions, so it is made once for each
// version that Version returns.
func (e *Engine) Info(ctx context.Context) (runtime.EngineInfo, error) {
	const doing = "read podman's info"
	version, err := e.Version(ctx)
	if err != nil {
		return runtime.EngineInfo{}, err
	}
	e.mu.Lock()
	info := e.info
	e.mu.Unlock()
	if info.Version == version {
		return info, nil
	}
	var answer struct {
		Host struct {
			NetworkBackend, CgroupVersion string
			CgroupControllers             []string
			Security                      struct{ Rootless, SELinuxEnabled, AppArmorEnabled, SECCOMPEnabled bool }
		}
		Store   struct{ GraphRoot string }
		Plugins struct{ Log []string }
	}
	if err := e.ask(ctx, get("/info"), &answer); err != nil {
		return runtime.EngineInfo{}, e.translate(ctx, err, doing)
	}
	if answer.Store.GraphRoot == "" {
		return runtime.EngineInfo{}, fault.New(fault.Internal, "%s: its answer is incomplete", doing)
	}
	info = runtime.EngineInfo{
		Version: version, Storage: answer.Store.GraphRoot, Network: answer.Host.NetworkBackend, Cgroups: answer.Host.CgroupVersion,
		Controllers: answer.Host.CgroupControllers, LogDrivers: answer.Plugins.Log,
		Rootless: answer.Host.Security.Rootless, SELinux: answer.Host.Security.SELinuxEnabled,
		AppArmor: answer.Host.Security.AppArmorEnabled, Seccomp: answer.Host.Security.SECCOMPEnabled,
	}
	e.mu.Lock()
	e.info = info
	e.mu.Unlock()
	return info, nil
}

// Lacks returns what this podman, or its host, lacks of what a container's settings ask
// for. It asks podman nothing that Info has not asked before.
func (e *Engine) Lacks(ctx context.Context, spec runtime.ContainerSpec) ([]runtime.Lack, error) {
	info, err := e.Info(ctx)
	if err != nil {
		return nil, err
	}
	return e.process(ctx).Lacks(info, e.filesDir, spec), nil
}

// process finds the process behind the socket.
func (e *Engine) process(ctx context.Context) peer.Process {
	return peer.Of(ctx, strings.TrimPrefix(e.socket, "unix://"))
}
