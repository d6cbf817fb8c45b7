package fleet

import (
	"cmp"
	"time"
)

// Actor is who does something, and from where.
type Actor struct {
	Who string `json:"who"`
	// From is the name of a machine; "" for mcp itself.
	From string `json:"from,omitempty"`
	// Claimed is set where nothing but the client's own word says so.
	Claimed bool `json:"claimed"`
}

// Itself returns the actor of what mcp does by itself: a job that is due, the watch.
func Itself() Actor { return Actor{Who: "mcp"} }

// Unknown returns the actor of what was started by hand, without the command line.
func Unknown() Actor { return Actor{Who: "unknown", Claimed: true} }

// Action is something that was done, and to what.
type Action struct {
	// Verb is as in a command line: "deploy", "node drain".
	Verb string `json:"verb"`
	// Service, Component, Node and Edge are "" where the action is about none. Component
	// is a component or a job.
	Service   string `json:"service,omitempty"`
	Component string `json:"component,omitempty"`
	Node      string `json:"node,omitempty"`
	Edge      string `json:"edge,omitempty"`
	// Detail is what else was asked for, for display. No value of a secret is in it.
	Detail string `json:"detail,omitempty"`
}

// Subject names what the action is about, for display: "shop/api", "node rift", or "-".
func (a Action) Subject() string {
	switch {
	case a.Component != "":
		return a.Service + "/" + a.Component
	case a.Service != "":
		return a.Service
	case a.Node != "":
		return "node " + a.Node
	case a.Edge != "":
		return "edge " + a.Edge
	}
	return "-"
}

// AuditEntry is what the audit records of an action: that it begins, or how it has ended.
type AuditEntry struct {
	// Key identifies the action: an entry that is recorded twice is one.
	Key string    `json:"key"`
	At  time.Time `json:"at"`
	Actor
	Action
	WorkflowID string `json:"workflow_id,omitempty"`
	RunID      string `json:"run_id,omitempty"`
	// Outcome is a word, and Error a reason; both are "" when the action begins.
	Outcome string `json:"outcome,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Ended reports whether the entry says how the action has ended.
func (e AuditEntry) Ended() bool { return e.Outcome != "" }

// Bounds of what a client may have written.
const (
	maxKey    = 255
	maxWho    = 128
	maxDetail = 512
)

// Checked returns the entry as the registry can hold it.
func (e AuditEntry) Checked() AuditEntry {
	for text, most := range map[*string]int{
		&e.Key: maxKey, &e.Who: maxWho, &e.From: maxWho, &e.Verb: maxWho, &e.Service: maxName, &e.Component: maxName,
		&e.Node: maxName, &e.Edge: maxName, &e.Detail: maxDetail, &e.WorkflowID: maxText, &e.RunID: maxName,
		&e.Outcome: maxWho, &e.Error: maxText,
	} {
		*text = Text(*text, most)
	}
	e.Who, e.Verb = cmp.Or(e.Who, Unknown().Who), cmp.Or(e.Verb, "unknown")
	return e
}

// AuditRecord is an action, as the audit has it.
type AuditRecord struct {
	// ID is greater than that of every action that was recorded before it.
	ID int64     `json:"id"`
	At time.Time `json:"at"`
	Actor
	Action
	WorkflowID string `json:"workflow_id,omitempty"`
	RunID      string `json:"run_id,omitempty"`
	// Outcome is "" while the action is under way, and for ever where its workflow was
	// terminated.
	Outcome string    `json:"outcome"`
	Error   string    `json:"error,omitempty"`
	Ended   time.Time `json:"ended,omitzero"`
}

// AuditQuery selects actions.
type AuditQuery struct {
	// Service and Who select by name; "" means all.
	Service string `json:"service,omitempty"`
	Who     string `json:"who,omitempty"`
	// Since omits earlier actions; zero omits none.
	Since time.Time `json:"since,omitzero"`
	// Before omits actions from this ID on; 0 omits none.
	Before int64 `json:"before,omitempty"`
	// Limit is how many of the newest to read, at most AuditLimit; 0 for AuditLimit.
	Limit int `json:"limit,omitempty"`
}

// AuditLimit bounds the actions of one answer.
const AuditLimit = 1000
