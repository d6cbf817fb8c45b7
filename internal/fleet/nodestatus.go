package fleet

import "time"

// NodeStatus is the state of a node's host and engine.
type NodeStatus struct {
	NodeFigures
	Hostname string `json:"hostname"`
	Kernel   string `json:"kernel"`
	// Arch is Go's name of the processor: "amd64".
	Arch string `json:"arch"`
	// Storage is the directory of podman's storage.
	Storage string `json:"storage"`
	// Network is the engine's network backend, "netavark"; Cgroups the version of
	// the host's, "v2".
	Network string `json:"network"`
	Cgroups string `json:"cgroups"`
	// EphemeralLow and EphemeralHigh bound the ports that the kernel takes for
	// outgoing connections, both included.
	EphemeralLow  int `json:"ephemeral_low"`
	EphemeralHigh int `json:"ephemeral_high"`
}

// NodeFigures are how busy and how full a node is, and its versions.
type NodeFigures struct {
	UptimeSeconds int64 `json:"uptime_seconds"`
	// Runtime is the engine's name and version, "podman 4.3.1", and MCP the version
	// of the node's worker.
	Runtime string `json:"runtime"`
	MCP     string `json:"mcp"`
	// CPUPercent is how busy all processors together have been since the last
	// observation, 0 to 100.
	CPUPercent float64 `json:"cpu_percent"`
	// Load are the load averages of the last 1, 5 and 15 minutes.
	Load   []float64 `json:"load"`
	Memory Usage     `json:"memory"`
	// Disk is the file system of podman's storage.
	Disk Usage `json:"disk"`
	// Disks are the other file systems that containers have volumes on.
	Disks []Disk `json:"disks"`
	// Containers counts all of them, Running those that run.
	Containers int `json:"containers"`
	Running    int `json:"running"`
}

// Usage is the size of something and how much of it is in use, in bytes.
type Usage struct {
	Total uint64 `json:"total"`
	Used  uint64 `json:"used"`
}

// Percent is how much of it is in use; 0 where the size is 0.
func (u Usage) Percent() float64 {
	if u.Total == 0 {
		return 0
	}
	return float64(u.Used) / float64(u.Total) * 100
}

// Disk is a file system, by its mount point on the node.
type Disk struct {
	Path string `json:"path"`
	Usage
}

// NodeHistory summarizes the figures of a node over a time.
type NodeHistory struct {
	// From is when it begins.
	From time.Time `json:"from"`
	// Observations is how many answered ones it summarizes; if none, the rest is
	// zero.
	Observations int `json:"observations"`
	// CPU, Memory and Disk are percentages; Disk is of the file system that
	// podman's storage is on.
	CPU    Range `json:"cpu_percent"`
	Memory Range `json:"memory_percent"`
	Disk   Range `json:"disk_percent"`
	// Load is the load average of a minute.
	Load Range `json:"load"`
	// Running is how many containers ran.
	Running Range `json:"running"`
}

// Range is the lowest, the mean and the highest value of a figure.
type Range struct {
	Low  float64 `json:"low"`
	Mean float64 `json:"mean"`
	High float64 `json:"high"`
}
