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
)

// Status is the state of the host.
type Status struct {
	Hostname string
	Kernel   string
	// Arch is Go's name for the processor's architecture: "amd64".
	Arch          string
	UptimeSeconds uint64
	// CPUPercent is the use of all processors together since the last read, or
	// else since this process started: 0 to 100.
	CPUPercent float64
	// Load holds the load averages of the last 1, 5 and 15 minutes.
	Load   [3]float64
	Memory Usage
	// Disk is the file system of the given directory.
	Disk Usage
	// EphemeralLow and EphemeralHigh are the bounds that EphemeralRange returns.
	EphemeralLow, EphemeralHigh int
}

// Usage is the size of a resource and the part of it in use, in bytes.
type Usage struct{ Total, Used uint64 }

// ReadStatus reads the state of the host, and the usage of the file system of a
// directory. It does not call gopsutil's host.Info, which runs lsb_release for
// values that are not needed.
func ReadStatus(ctx context.Context, dir string) (Status, error) {
	name, err := os.Hostname()
	if err != nil {
		return Status{}, fmt.Errorf("read the host's name: %w", err)
	}
	kernel, err := host.KernelVersionWithContext(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read the kernel's version: %w", err)
	}
	uptime, err := host.UptimeWithContext(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read the uptime: %w", err)
	}
	busy, err := cpu.PercentWithContext(ctx, 0, false)
	if err != nil {
		return Status{}, fmt.Errorf("measure processor use: %w", err)
	}
	average, err := load.AvgWithContext(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read load average: %w", err)
	}
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read memory use: %w", err)
	}
	space, err := disk.UsageWithContext(ctx, dir)
	if err != nil {
		return Status{}, fmt.Errorf("read disk use of %s: %w", dir, err)
	}
	low, high, err := EphemeralRange()
	if err != nil {
		return Status{}, err
	}
	return Status{
		Hostname:      name,
		Kernel:        kernel,
		Arch:          runtime.GOARCH,
		UptimeSeconds: uptime,
		CPUPercent:    busy[0],
		Load:          [3]float64{average.Load1, average.Load5, average.Load15},
		Memory:        Usage{Total: memory.Total, Used: memory.Used},
		Disk:          Usage{Total: space.Total, Used: space.Used},
		EphemeralLow:  low, EphemeralHigh: high,
	}, nil
}
