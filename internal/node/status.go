package node

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
)

// Status is how the host is.
type Status struct {
	Hostname string `json:"hostname"`
	Kernel   string `json:"kernel"`
	// Arch is Go's name of the processor: "amd64".
	Arch          string `json:"arch"`
	UptimeSeconds uint64 `json:"uptime_seconds"`
	// CPUPercent is how busy all processors together are, 0 to 100.
	CPUPercent float64 `json:"cpu_percent"`
	// Load is the load average of the last minute.
	Load   float64 `json:"load"`
	Memory Usage   `json:"memory"`
	// Disk is the file system that containers are stored on.
	Disk Usage `json:"disk"`
}

// Usage is how much there is of something and how much of it is in use, in
// bytes.
type Usage struct {
	Total uint64 `json:"total"`
	Used  uint64 `json:"used"`
}

const (
	// cpuSample is how long the processors are watched.
	cpuSample = 200 * time.Millisecond
	// storage is where podman keeps containers unless it is told otherwise.
	storage = "/var/lib/containers"
)

// ReadStatus looks how the host is. It takes about 200 ms.
func ReadStatus(ctx context.Context) (Status, error) {
	about, err := host.InfoWithContext(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read host information: %w", err)
	}
	busy, err := cpu.PercentWithContext(ctx, cpuSample, false)
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
	space, err := disk.UsageWithContext(ctx, storagePath())
	if err != nil {
		return Status{}, fmt.Errorf("read disk use: %w", err)
	}
	return Status{
		Hostname:      about.Hostname,
		Kernel:        about.KernelVersion,
		Arch:          runtime.GOARCH,
		UptimeSeconds: about.Uptime,
		CPUPercent:    busy[0],
		Load:          average.Load1,
		Memory:        Usage{Total: memory.Total, Used: memory.Used},
		Disk:          Usage{Total: space.Total, Used: space.Used},
	}, nil
}

// storagePath is a directory on the file system that containers are stored on.
func storagePath() string {
	if _, err := os.Stat(storage); err != nil {
		return "/"
	}
	return storage
}
