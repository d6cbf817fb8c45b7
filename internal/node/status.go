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

// Status reads the host's part of a node's status: its figures, and the usage of
// the file systems of the engine's storage and of the volumes.
func (h *Host) Status(ctx context.Context, storage string, volumes []string) (fleet.NodeStatus, error) {
	status, err := ReadStatus(ctx, storage)
	if err != nil {
		return status, err
	}
	status.Disks, err = h.disks.Of(volumes, storage)
	return status, err
}

// ReadStatus reads the state of the host, and the usage of the file system of a
// directory. CPUPercent is the use since the last read, or else since this process
// started. It does not call gopsutil's host.Info, which runs lsb_release for
// values that are not needed.
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
