package tend

import "github.com/metacircular/mcp/internal/fleet"

// Names under which the workflows that tend the fleet are registered. They are part of
// every recorded history and must not change.
const (
	RegisterNodeName = "RegisterNode"
	ReviveNodeName   = "ReviveNode"
	ClaimNodeName    = "ClaimNode"
	DrainNodeName    = "DrainNode"
	RemoveNodeName   = "RemoveNode"
	AnnounceEdgeName = "AnnounceEdge"
	AdmitEdgeName    = "AdmitEdge"
	RemoveEdgeName   = "RemoveEdge"
	EdgeStorageName  = "EdgeStorage"
	MonitorName      = "Monitor"
	MonitorNodeName  = "MonitorNode"
	AlertName        = "Alert"
	RetentionName    = "Retention"
)

// NodeID is the id of the workflow that registers a node, and of the one that
// revives it after a boot.
func NodeID(node string) string { return "node/" + node }

// ClaimID is the id of the workflow with which a machine claims a node's name;
// a clone's claim has another.
func ClaimID(node string, m fleet.Machine) string { return "claim/" + node + "/" + m.ID + "/" + m.Boot }

// NodeChangeID is the id of a workflow that drains, activates or removes a
// node; nonce makes it unique.
func NodeChangeID(node, verb, nonce string) string { return "node/" + node + "/" + verb + "/" + nonce }

// AnnouncementID is the id of the workflow with which an edge announces itself. The
// announcement of another key has another.
func AnnouncementID(edge, key string) string { return "edge/" + edge + "/announce/" + key }

// EdgeStorageID is the id of the workflow that carries out a request of an edge to the
// storage that edges share; nonce makes it unique.
func EdgeStorageID(edge, nonce string) string { return "edge/" + edge + "/storage/" + nonce }

// EdgeChangeID is the id of a workflow that admits or removes an edge; nonce makes it
// unique.
func EdgeChangeID(edge, verb, nonce string) string { return "edge/" + edge + "/" + verb + "/" + nonce }

// MonitorID is the id of the schedule that observes the nodes, and the prefix of
// the ids of the workflows that do so.
const MonitorID = "monitor"

// monitorNodeID is the id of the workflow that observes one node.
func monitorNodeID(node string) string { return MonitorID + "/" + node }

// alertID is the id of the workflow that sends events to a destination.
func alertID(destination string) string { return "alert/" + destination }

// RetentionID is the id of the schedule that thins history, and the prefix of the
// ids of its workflows.
const RetentionID = "retention"

// Schedules are the ids of all schedules.
func Schedules() []string { return []string{MonitorID, RetentionID} }
