package workers

import (
	"context"

	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/internal/plan"
)

// host is the machine that this process runs on.
type host struct{ disks node.Disks }

// Status reads the status of the host.
func (h *host) Status(ctx context.Context, storage string, volumes []string) (plan.NodeStatus, error) {
	s, err := node.ReadStatus(ctx, storage)
	if err != nil {
		return plan.NodeStatus{}, err
	}
	found, err := h.disks.Of(volumes, storage)
	if err != nil {
		return plan.NodeStatus{}, err
	}
	var disks []plan.Disk
	for _, d := range found {
		disks = append(disks, plan.Disk{Path: d.Path, Usage: plan.Usage(d.Usage)})
	}
	return plan.NodeStatus{
		Hostname:      s.Hostname,
		Kernel:        s.Kernel,
		Arch:          s.Arch,
		UptimeSeconds: int64(s.UptimeSeconds),
		CPUPercent:    s.CPUPercent,
		Load:          s.Load[:],
		Memory:        plan.Usage(s.Memory),
		Disk:          plan.Usage(s.Disk),
		Disks:         disks,
		EphemeralLow:  s.EphemeralLow,
		EphemeralHigh: s.EphemeralHigh,
	}, nil
}
