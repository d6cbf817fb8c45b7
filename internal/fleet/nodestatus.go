package fleet

import "time"

// NodeStatus is how a node is.
type NodeStatus struct {
	Hostname string `json:"hostname"`
	Kernel   string `json:"kernel"`
	// Arch is Go's name of the processor: "amd64".
	Arch          string `json:"arch"`
	UptimeSeconds int64  `json:"uptime_seconds"`
	// CPUPercent is how busy all processors together have been since the last
	// look, 0 to 100.
	CPUPercent float64 `json:"cpu_percent"`
	// Load are the load averages of the last 1, 5 and 15 minutes.
	Load   []float64 `json:"load"`
	Memory Usage     `json:"memory"`
	// Disk is the file system that Storage, podman's, is on.
	Disk    Usage  `json:"disk"`
	Storage string `json:"storage"`
	// Disks are the other file systems that containers have volumes on.
	Disks []Disk `json:"disks,omitempty"`
	// Runtime is the engine's name and version, "podman 4.3.1"; Network its
	// network backend, "netavark"; Cgroups the version of the host's, "v2".
	Runtime string `json:"runtime"`
	Network string `json:"network"`
	Cgroups string `json:"cgroups"`
	// MCP is the version of the node's worker.
	MCP string `json:"mcp"`
	// EphemeralLow and EphemeralHigh bound the ports that the kernel takes for
	// outgoing connections, both included.
	EphemeralLow  int `json:"ephemeral_low"`
	EphemeralHigh int `json:"ephemeral_high"`
	// Containers counts all of them, Running those that run.
	Containers int `json:"containers"`
	Running    int `json:"running"`
}

// Usage is how much there is of something and how much of it is in use, in
// bytes.
type Usage struct {
	Total uint64 `json:"total"`
	Used  uint64 `json:"used"`
}

// Percent is how much of it is in use; 0 where there is nothing.
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

// NodeHistory is how a node has been.
type NodeHistory struct {
	// From is when it begins.
	From time.Time `json:"from"`
	// Looks is how many there were that had an answer; if none, all else is
	// zero.
	Looks int `json:"looks"`
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

// Range is how a figure has been: at the least, on average, and at the most.
type Range struct {
	Low  float64 `json:"low"`
	Mean float64 `json:"mean"`
	High float64 `json:"high"`
}
