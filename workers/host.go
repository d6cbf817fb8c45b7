package workers

import (
	"context"

	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/internal/plan"
)

// host is the machine that this process runs on.
type host struct{}

// Status is how the host is.
func (host) Status(ctx context.Context, dir string) (plan.NodeStatus, error) {
	s, err := node.ReadStatus(ctx, dir)
	if err != nil {
		return plan.NodeStatus{}, err
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
		EphemeralLow:  s.EphemeralLow,
		EphemeralHigh: s.EphemeralHigh,
	}, nil
}
