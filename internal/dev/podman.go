package dev

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
)

// startPodman starts a podman where none can be used that runs already.
func (p *Platform) startPodman(ctx context.Context) error {
	if socket := p.options.Socket; socket != "" && !answers(ctx, socket) {
		return fault.New(fault.Unavailable, "no podman answers at %s", socket).
			WithHint("start it, or name another with --podman-socket; it is remembered from start to start")
	}
	if p.info.Podman = p.runningPodman(ctx); p.info.Podman != "" {
		return nil
	}
	o := parts.PodmanOptions{Dir: p.path(podmanDir), Private: true}
	first, err := parts.StartPodman(ctx, o)
	if err != nil {
		return err
	}
	p.keep("podman", first, func(ctx context.Context) (part, error) { return parts.StartPodman(ctx, o) })
	p.info.Podman, p.info.PrivatePodman = first.Socket(), true
	return nil
}

// runningPodman is the socket that was given, or the machine's if it answers.
// A directory that has a podman of its own keeps it: its containers are there.
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
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix://"))
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://podman/_ping", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
