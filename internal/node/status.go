package node

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"

	"github.com/metacircular/mcp/internal/fleet"
)

// Host is the host that this process runs on.
type Host struct{ disks Disks }

// Status is the host's own part of a node's status: its figures, and how full the
// file systems of the engine's storage and of the volumes are.
func (h *Host) Status(ctx context.Context, storage string, volumes []string) (fleet.NodeStatus, error) {
	status, err := ReadStatus(ctx, storage)
	if err != nil {
		return status, err
	}
	status.Disks, err = h.disks.Of(volumes, storage)
	return status, err
}

// ReadStatus reads the figures of the host, and how full the file system of a
// directory is. CPUPercent is that since the last call, or else since this process
// started. It starts no process: gopsutil's host.Info runs lsb_release for what is
// not needed here.
func ReadStatus(ctx context.Context, dir string) (fleet.NodeStatus, error) {
	name, err := os.Hostname()
	if err != nil {
		return fleet.NodeStatus{}, fmt.Errorf("read the host's name: %w", err)
	}
	kernel, err := host.KernelVersionWithContext(ctx)
	if err != nil {
		return fleet.NodeStatus{}, fmt.Errorf("read the kernel's version: %w", err)
	}
	uptime, err := host.UptimeWithContext(ctx)
	if err != nil {
		return fleet.NodeStatus{}, fmt.Errorf("read the uptime: %w", err)
	}
	busy, err := cpu.PercentWithContext(ctx, 0, false)
	if err != nil {
		return fleet.NodeStatus{}, fmt.Errorf("measure processor use: %w", err)
	}
	average, err := load.AvgWithContext(ctx)
	if err != nil {
		return fleet.NodeStatus{}, fmt.Errorf("read load average: %w", err)
	}
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return fleet.NodeStatus{}, fmt.Errorf("read memory use: %w", err)
	}
	space, err := disk.UsageWithContext(ctx, dir)
	if err != nil {
		return fleet.NodeStatus{}, fmt.Errorf("read disk use of %s: %w", dir, err)
	}
	low, high, err := EphemeralRange()
	if err != nil {
		return fleet.NodeStatus{}, err
	}
	return fleet.NodeStatus{
		Hostname: name, Kernel: kernel, Arch: runtime.GOARCH, EphemeralLow: low, EphemeralHigh: high,
		NodeFigures: fleet.NodeFigures{
			UptimeSeconds: int64(uptime),
			CPUPercent:    busy[0],
			Load:          []float64{average.Load1, average.Load5, average.Load15},
			Memory:        fleet.Usage{Total: memory.Total, Used: memory.Used},
			Disk:          fleet.Usage{Total: space.Total, Used: space.Used},
		},
	}, nil
}
