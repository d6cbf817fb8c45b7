package fleet

import "time"

// DriftKind says in which way something is not as it should be.
type DriftKind string

// The ways in which a component's container can differ from its release …
const (
	DriftMissing    DriftKind = "missing"     // it is not there
	DriftRenamed    DriftKind = "renamed"     // it is there under another name
	DriftStopped    DriftKind = "stopped"     // it does not run, and should
	DriftRunning    DriftKind = "running"     // it runs, and should not
	DriftWrongImage DriftKind = "wrong-image" // it was made from another image
	DriftReplaced   DriftKind = "replaced"    // its labels are not those of the release's
	DriftFlapping   DriftKind = "flapping"    // it is restarted again and again
	DriftUnhealthy  DriftKind = "unhealthy"   // the engine's own health check fails
)

// … and those of a node. The end of unreachable is an event of its own kind,
// DriftBack.
const (
	DriftOrphan      DriftKind = "orphan"      // a container with mcp's labels that no release names
	DriftUnreachable DriftKind = "unreachable" // the node has not answered twice in a row
	DriftBack        DriftKind = "back"
	DriftDisk        DriftKind = "disk"   // a file system, podman's or a volume's, is nearly full
	DriftMemory      DriftKind = "memory" // nearly all of the memory is in use
)

// The kinds of event that tell what the monitor has done, beside what it has
// found. They have no end.
const (
	// EventReconcile: a service's release is deployed again.
	EventReconcile DriftKind = "reconcile"
	// EventLeftAlone: that has not helped often enough for now.
	EventLeftAlone DriftKind = "left-alone"
)

// Drift is one way in which something is not as it should be.
type Drift struct {
	Kind DriftKind `json:"kind"`
	// Service and Component are "" for what is about the whole node.
	Service   string `json:"service,omitempty"`
	Component string `json:"component,omitempty"`
	Container string `json:"container,omitempty"`
	// Path is the mount point of a file system; "" for podman's own, and where
	// it is about none.
	Path string `json:"path,omitempty"`
	// Detail is for a person.
	Detail string `json:"detail,omitempty"`
}

// Subject is what a drift is about, for a person: "shop/api", a container, or
// "-" for the node itself.
func (d Drift) Subject() string {
	switch {
	case d.Kind == DriftOrphan:
		return d.Container
	case d.Service != "":
		return d.Service + "/" + d.Component
	}
	return "-"
}

// Same reports whether two are the same drift, seen at different times.
func (d Drift) Same(other Drift) bool {
	d.Detail, other.Detail = "", ""
	return d == other
}

// OpenDrift is a drift that has begun and not ended.
type OpenDrift struct {
	Drift
	Since time.Time `json:"since"`
}
