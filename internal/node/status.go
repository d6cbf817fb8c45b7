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

// Status is how the host is.
type Status struct {
	Hostname string
	Kernel   string
	// Arch is Go's name of the processor: "amd64".
	Arch          string
	UptimeSeconds uint64
	// CPUPercent is how busy all processors together have been since the last
	// look, or else since this process started: 0 to 100.
	CPUPercent float64
	// Load are the load averages of the last 1, 5 and 15 minutes.
	Load   [3]float64
	Memory Usage
	// Disk is the file system of the directory that was asked for.
	Disk Usage
	// EphemeralLow and EphemeralHigh are as EphemeralRange has them.
	EphemeralLow, EphemeralHigh int
}

// Usage is how much there is of something and how much of it is in use, in
// bytes.
type Usage struct{ Total, Used uint64 }

// ReadStatus looks how the host is, and how full the file system of a
// directory. It starts no process: gopsutil's host.Info asks lsb_release for what
// is not needed here.
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
