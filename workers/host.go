package workers

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/node"
)

// host is the machine that this process runs on.
type host struct{ disks node.Disks }

// Status reads the status of the host.
func (h *host) Status(ctx context.Context, storage string, volumes []string) (fleet.NodeStatus, error) {
	s, err := node.ReadStatus(ctx, storage)
	if err != nil {
		return fleet.NodeStatus{}, err
	}
	found, err := h.disks.Of(volumes, storage)
	if err != nil {
		return fleet.NodeStatus{}, err
	}
	var disks []fleet.Disk
	for _, d := range found {
		disks = append(disks, fleet.Disk{Path: d.Path, Usage: fleet.Usage(d.Usage)})
	}
	return fleet.NodeStatus{
		Hostname:      s.Hostname,
		Kernel:        s.Kernel,
		Arch:          s.Arch,
		UptimeSeconds: int64(s.UptimeSeconds),
		CPUPercent:    s.CPUPercent,
		Load:          s.Load[:],
		Memory:        fleet.Usage(s.Memory),
		Disk:          fleet.Usage(s.Disk),
		Disks:         disks,
		EphemeralLow:  s.EphemeralLow,
		EphemeralHigh: s.EphemeralHigh,
	}, nil
}
