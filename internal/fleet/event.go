package fleet

import (
	"fmt"
	"time"
)

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

// Healing is a release that is to be deployed again.
type Healing struct {
	Service string `json:"service"`
	Release int    `json:"release"`
}
