package plan

import (
	"fmt"
	"time"
)

// Observation is what one look at a node has found.
type Observation struct {
	Node string `json:"node"`
	// At is when the look began, by Temporal's clock.
	At time.Time `json:"at"`
	// Problem is why the node did not answer; "" if it did.
	Problem string `json:"problem,omitempty"`
	// Unanswered is when the first of the looks began that went without an
	// answer before this one, in a row; zero if the last had one. The registry
	// knows it.
	Unanswered time.Time `json:"unanswered,omitzero"`
	// Status is nil, and there are no Containers, where it did not.
	Status     *NodeStatus `json:"status,omitempty"`
	Containers Observed    `json:"containers,omitempty"`
	// Age is how long ago the look began when it is recorded: what a
	// deployment did meanwhile, the look may have seen half of.
	Age time.Duration `json:"age,omitempty"`
	// Abandoned are deployments that the registry takes to be under way and
	// that have no workflow any more, by service.
	Abandoned map[string]int `json:"abandoned,omitempty"`
}

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

// Disk is a file system, by its mount point on the node.
type Disk struct {
	Path string `json:"path"`
	Usage
}

// ObservedContainer is a container as a look at its node has found it.
type ObservedContainer struct {
	Container
	ID string `json:"id"`
	// Image is the reference that it was made from; Digest its manifest's
	// where the engine knows it.
	Image  string `json:"image"`
	Digest string `json:"digest,omitempty"`
	// State is what it is doing, in the engine's words.
	State string `json:"state"`
	// Health is the engine's own health status; "" where it has none.
	Health   string `json:"health,omitempty"`
	ExitCode int    `json:"exit_code,omitempty"`
	// Restarts is how often the engine has restarted it.
	Restarts int `json:"restarts,omitempty"`
	// Started is when it was last started; zero if never.
	Started time.Time `json:"started,omitzero"`
	// Restarted is when the restarts of the last FlapWindow were noticed; the
	// registry knows them.
	Restarted []time.Time `json:"restarted,omitempty"`
}

// Counts reports whether an unanswered look makes the node unreachable. One
// alone does not: a worker that is restarted, as for a new version, is away for
// seconds.
func (o Observation) Counts() bool { return o.Problem != "" && !o.Unanswered.IsZero() }

// Event says that a drift has begun, or that it has ended.
type Event struct {
	// ID is greater than that of every event that could be read before it.
	ID   int64     `json:"id"`
	At   time.Time `json:"at"`
	Node string    `json:"node"`
	Drift
	Ended bool `json:"ended"`
	// Since is when the drift began.
	Since time.Time `json:"since"`
	// Folded is how many events of the same drift, between the first of an hour
	// and this, the last, are no longer told: an old hour is kept in short.
	Folded int `json:"folded,omitempty"`
}

// Story is what an event tells beside its kind, for a person.
func (e Event) Story() string {
	text := e.Detail
	if e.Ended {
		text = "over, after " + e.At.Sub(e.Since).Round(time.Second).String()
	}
	if e.Folded > 0 {
		text += fmt.Sprintf(" (and %d more like it within the hour)", e.Folded)
	}
	return text
}

// Text is the whole event in a line, for a person.
func (e Event) Text() string {
	about := "node " + e.Node + ": "
	if subject := e.Subject(); subject != "-" {
		about += subject + ": "
	}
	return fmt.Sprintf("%s%s: %s", about, e.Kind, e.Story())
}

// OpenDrift is a drift that has begun and not ended.
type OpenDrift struct {
	Drift
	Since time.Time `json:"since"`
}

// EventQuery selects events.
type EventQuery struct {
	// Service and Node select by name; "" means all.
	Service string `json:"service,omitempty"`
	Node    string `json:"node,omitempty"`
	// From leaves out what was before; zero leaves out nothing.
	From time.Time `json:"from,omitzero"`
	// After is the ID of the last event that is known already.
	After int64 `json:"after,omitempty"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
}

// States of a node. That one is draining is an operator's wish, which is kept
// beside what the looks find.
const (
	NodeReady       = "ready"
	NodeUnreachable = "unreachable"
	NodeDraining    = "draining"
)

// WatchedNode is a node that the monitor looks at.
type WatchedNode struct {
	Name string `json:"name"`
	// Silent says that it did not answer the last look.
	Silent bool `json:"silent,omitempty"`
}

// NodeState is a node with what the last look at it has found.
type NodeState struct {
	NodeRecord
	// State is ready or unreachable; "" before the first look.
	State string `json:"state"`
	// Since is when it came to be in that state.
	Since time.Time `json:"since,omitzero"`
	// Draining says that it gets no new container.
	Draining bool `json:"draining,omitempty"`
	// Answered is when a look found it last, and Status what it found then.
	Answered time.Time   `json:"answered,omitzero"`
	Status   *NodeStatus `json:"status,omitempty"`
	// Drift is what has begun on the node and not ended, oldest first.
	Drift []OpenDrift `json:"drift"`
}
