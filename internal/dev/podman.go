package dev

import (
	"context"
	"os"
	"time"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
)

// startPodman starts a private podman unless a running one can be used.
func (p *Platform) startPodman(ctx context.Context) error {
	if socket := p.options.Socket; socket != "" && !answers(ctx, socket) {
		return fault.New(fault.Unavailable, "no podman answers at %s", socket).
			WithHint("start it, or name another with --podman-socket; later starts remember it")
	}
	if p.info.Podman = p.runningPodman(ctx); p.info.Podman != "" {
		return nil
	}
	o := parts.PodmanOptions{Dir: p.path(podmanDir), Private: true, Unfiltered: p.options.Unfiltered}
	first, err := parts.StartPodman(ctx, o)
	if err != nil {
		return err
	}
	p.keep("podman", first, func(ctx context.Context) (part, error) { return parts.StartPodman(ctx, o) })
	p.info.Podman, p.info.PrivatePodman = first.Socket(), true
	return nil
}

// runningPodman returns the socket in the options, or the machine's if a podman
// answers there. A directory with a private podman keeps it, for the sake of its
// containers.
func (p *Platform) runningPodman(ctx context.Context) string {
	if p.options.Socket != "" {
		return p.options.Socket
	}
	if _, err := os.Stat(p.path(podmanDir)); err == nil {
		return ""
	}
	if socket := p.options.MachineSocket; answers(ctx, socket) {
		return socket
	}
	return ""
}

// answers reports whether a podman answers at a socket.
func answers(ctx context.Context, socket string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return parts.PingPodman(ctx, socket) == nil
}
