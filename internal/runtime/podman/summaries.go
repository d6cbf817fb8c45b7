package podman

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// inspectLimit is the number of containers that List inspects concurrently.
// Podman serves each call on a separate processor where one is idle.
const inspectLimit = 4

// List describes all containers that have the labels, sorted by name. Podman's
// list has no digests, start times in whole seconds and, before 5.0, no restart
// counts; so List inspects each container, which takes a millisecond or more.
func (e *Engine) List(ctx context.Context, labels map[string]string) ([]runtime.ContainerInfo, error) {
	found, err := e.list(ctx, runtime.Selection{Labels: labels})
	if err != nil {
		return nil, err
	}
	infos := make([]runtime.ContainerInfo, len(found))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inspectLimit)
	for i, container := range found {
		g.Go(func() (err error) {
			infos[i], err = e.Inspect(ctx, container.ID)
			if fault.Is(err, fault.NotFound) {
				return nil // removed meanwhile
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	infos = slices.DeleteFunc(infos, func(info runtime.ContainerInfo) bool { return info.ID == "" })
	slices.SortFunc(infos, func(a, b runtime.ContainerInfo) int { return cmp.Compare(a.Name, b.Name) })
	return infos, nil
}

// Summaries describes the selected containers in one call, sorted by name.
func (e *Engine) Summaries(ctx context.Context, s runtime.Selection) ([]runtime.ContainerSummary, error) {
	found, err := e.list(ctx, s)
	if err != nil {
		return nil, err
	}
	summaries := make([]runtime.ContainerSummary, 0, len(found))
	for _, c := range found {
		summary := runtime.ContainerSummary{ID: c.ID, Image: c.Image, State: stateOf(c.State), Labels: c.Labels, Ports: mappedPorts(c.Ports), Networks: c.Networks}
		if len(c.Names) > 0 {
			summary.Name = c.Names[0]
		}
		if summary.State == runtime.Stopped {
			summary.ExitCode = c.ExitCode
		}
		if s.Selects(summary.Name, summary.Labels) {
			summaries = append(summaries, summary)
		}
	}
	slices.SortFunc(summaries, func(a, b runtime.ContainerSummary) int { return cmp.Compare(a.Name, b.Name) })
	return summaries, nil
}

// mappedPorts expands the ranges of podman's list. Podman joins neighbours to a
// range, and one entry may name several protocols.
func mappedPorts(mappings []mapping) []servicedef.Port {
	var ports []servicedef.Port
	for _, m := range mappings {
		for protocol := range strings.SplitSeq(cmp.Or(m.Protocol, "tcp"), ",") {
			for i := range min(max(m.Range, 1), maxPort) {
				ports = append(ports, servicedef.Port{
					IP: m.HostIP, Host: m.HostPort + i, Container: m.ContainerPort + i, Protocol: protocol,
				})
			}
		}
	}
	return sortedPorts(ports)
}

// maxPort is the highest port.
const maxPort = 65535
