package fleet

import (
	"fmt"
	"time"
)

// Event is the beginning or the end of drift, or an action of mcp's own.
type Event struct {
	// ID is greater than that of every event that could be read before it.
	ID   int64     `json:"id"`
	At   time.Time `json:"at"`
	Node string    `json:"node"`
	// Edge is that of an event at an edge, which has no node.
	Edge string `json:"edge,omitempty"`
	Drift
	Ended bool `json:"ended"`
	// Since is when the drift began.
	Since time.Time `json:"since"`
	// Folded counts the events of the same drift that were dropped between the first
	// of an hour and this, the last: old hours are summarized.
	Folded int `json:"folded,omitempty"`
}

// Message describes the event, for display beside its kind.
func (e Event) Message() string {
	text := e.Detail
	if e.Ended {
		text = "over, after " + e.At.Sub(e.Since).Round(time.Second).String()
	}
	if e.Folded > 0 {
		text += fmt.Sprintf(" (and %d more like it within the hour)", e.Folded)
	}
	return text
}

// Line describes the whole event in one line.
func (e Event) Line() string {
	about := ""
	switch {
	case e.Edge != "":
		about = "edge " + e.Edge + ": "
	case e.Node != "":
		about = "node " + e.Node + ": "
	}
	if subject := e.Subject(); subject != "-" {
		about += subject + ": "
	}
	return fmt.Sprintf("%s%s: %s", about, e.Kind, e.Message())
}

// EventQuery selects events.
type EventQuery struct {
	// Service and Node select by name; "" means all.
	Service string `json:"service,omitempty"`
	Node    string `json:"node,omitempty"`
	// From omits earlier events; zero omits none.
	From time.Time `json:"from,omitzero"`
	// After omits events up to this ID.
	After int64 `json:"after,omitempty"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
}

// Healing is a release to deploy again.
type Healing struct {
	Service string `json:"service"`
	Release int    `json:"release"`
}
