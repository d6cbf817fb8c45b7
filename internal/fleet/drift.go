package fleet

import "time"

// DriftKind is a way in which a node differs from the releases.
type DriftKind string

// The kinds of drift of a component's container …
const (
	DriftMissing    DriftKind = "missing"     // it does not exist
	DriftRenamed    DriftKind = "renamed"     // it has another name
	DriftStopped    DriftKind = "stopped"     // it does not run, and should
	DriftRunning    DriftKind = "running"     // it runs, and should not
	DriftWrongImage DriftKind = "wrong-image" // it was made from another image
	DriftWrongPorts DriftKind = "wrong-ports" // it publishes other ports
	DriftReplaced   DriftKind = "replaced"    // its labels differ from those of the release's
	DriftUnnamed    DriftKind = "unnamed"     // its names do not lead to it
	DriftFlapping   DriftKind = "flapping"    // it is restarted repeatedly
	DriftUnhealthy  DriftKind = "unhealthy"   // the engine's own health check fails
	DriftForbidden  DriftKind = "forbidden"   // the policy of its node would not let it run anew
)

// … those of a node. The end of DriftUnreachable is an event of another kind,
// DriftBack.
const (
	DriftOrphan      DriftKind = "orphan"      // a container with mcp's labels that no release names
	DriftUnreachable DriftKind = "unreachable" // the node has not answered twice in a row
	DriftBack        DriftKind = "back"
	DriftDisk        DriftKind = "disk"   // a file system, podman's or a volume's, is nearly full
	DriftMemory      DriftKind = "memory" // nearly all of the memory is in use
	DriftPolicy      DriftKind = "policy" // its policy cannot be used, so that it lets nothing new run
)

// … and those of an edge, which may be unreachable too.
const (
	DriftStaleEdge   DriftKind = "stale-edge"         // it lacks the newest routes of a service
	DriftCertificate DriftKind = "certificate-failed" // it could not obtain or renew the certificate of a hostname
)

// The kinds of event of mcp's own actions. They have no end.
const (
	// EventReconcile: a service's release is deployed again.
	EventReconcile DriftKind = "reconcile"
	// EventLeftAlone: it is not deployed again for now, because that has not helped.
	EventLeftAlone DriftKind = "left-alone"
	// EventNotRetired: a release could not remove a predecessor; Mend does.
	EventNotRetired DriftKind = "not-retired"
	// EventJobFailed: a run of a job has failed, or could not be started in time.
	EventJobFailed DriftKind = "job-failed"
	// EventJobRecovered: the first run that has succeeded after that.
	EventJobRecovered DriftKind = "job-recovered"
	// EventStepFailed: a step of a deployment has failed, which was put back.
	EventStepFailed DriftKind = "step-failed"
	// EventUnaudited: an action is not in the audit, and is to be added; EventAudited: it
	// was.
	EventUnaudited DriftKind = "unaudited"
	EventAudited   DriftKind = "audited"
	// EventKeyChanged: a node announces another key for secrets than before.
	EventKeyChanged DriftKind = "key-changed"
)

// Drift is one difference between a node and the releases.
type Drift struct {
	Kind DriftKind `json:"kind"`
	// Service and Component are "" for drift of the node itself.
	Service   string `json:"service,omitempty"`
	Component string `json:"component,omitempty"`
	Container string `json:"container,omitempty"`
	// Hostname is that of a certificate; "" for drift of another kind.
	Hostname string `json:"hostname,omitempty"`
	// Path is the mount point of a full file system; "" for that of podman's storage,
	// and for drift of another kind.
	Path string `json:"path,omitempty"`
	// Detail is for display.
	Detail string `json:"detail,omitempty"`
}

// Subject names what has drifted, for display: "shop/api", a container, a hostname, or
// "-" for the node or the edge itself.
func (d Drift) Subject() string {
	switch {
	case d.Hostname != "":
		return d.Hostname
	case d.Kind == DriftOrphan:
		return d.Container
	case d.Component != "":
		return d.Service + "/" + d.Component
	case d.Service != "":
		return d.Service
	}
	return "-"
}

// Same reports whether two are the same drift, found at different times.
func (d Drift) Same(other Drift) bool {
	d.Detail, other.Detail = "", ""
	return d == other
}

// OpenDrift is drift that has begun and not ended.
type OpenDrift struct {
	Drift
	Since time.Time `json:"since"`
}
