package local

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workers"
)

// checkHere checks what can be checked from this host alone.
func checkHere(ctx context.Context, cfg *config.Config, d defined) []finding {
	var checks []func(context.Context) []finding
	if cfg.Build.Workspace != "" {
		checks = append(checks, func(ctx context.Context) []finding { return []finding{checkWorkspace(ctx, cfg)} })
	} else if cfg.Build.Builder == "" && d.builds {
		checks = append(checks, func(context.Context) []finding {
			return []finding{warn("builder", "set [build] workspace or [build] builder in mcp.toml", "there is none to build the images that the image registry lacks")}
		})
	}
	checks = append(checks, func(ctx context.Context) []finding { return checkSigned(ctx, cfg) })
	for _, image := range d.images {
		checks = append(checks, func(ctx context.Context) []finding {
			err := workers.LookUp(ctx, image, cfg.ImageRegistry.Insecure, cfg.ImageRegistry.AuthFile)
			return []finding{registryFinding(image, "from here", err)}
		})
	}
	return sideBySide(ctx, checks...)
}

// checkWorkspace checks whether this command line can build.
func checkWorkspace(ctx context.Context, cfg *config.Config) finding {
	const check = "builder"
	if err := wantDir("[build] workspace", cfg.Build.Workspace); err != nil {
		return fail(check, fault.Translate(fault.Invalid, err).WithHint("correct it in mcp.toml"))
	}
	if err := pingSocket(ctx, cfg.Build.Socket); err != nil {
		return fail(check, hinted(late(err), "start podman's service there, or set [build] socket"))
	}
	return ok(check, "this command line builds from %s, on %s", cfg.Build.Workspace, cfg.Build.Socket)
}

// pingSocket checks that podman's service answers.
func pingSocket(ctx context.Context, socket string) error {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix://"))
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://podman/_ping", nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		var cause *net.OpError
		if errors.As(err, &cause) {
			err = cause
		}
		return fault.Wrap(fault.Unavailable, err, "podman at %s does not answer", socket)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "podman at %s answers %s", socket, response.Status)
	}
	return nil
}
