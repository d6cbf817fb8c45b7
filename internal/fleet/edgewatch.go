package fleet

import (
	"encoding/json"
	"time"
)

// EdgeMiss is an edge that has not acknowledged the newest publication of a service.
type EdgeMiss struct {
	Edge    string `json:"edge"`
	Service string `json:"service"`
	Problem string `json:"problem"`
}

// EdgeObservation is an edge at one moment: its status, or the reason why it did not
// answer.
type EdgeObservation struct {
	Edge   string      `json:"edge"`
	At     time.Time   `json:"at"`
	Status *EdgeStatus `json:"status,omitempty"`
	// Problem is why there is no status.
	Problem string `json:"problem,omitempty"`
}

// fits is how many bytes of publications travel together: Temporal's limit is 2 MB.
const fits = 1 << 20

// Fitting returns the first publications, as many as travel together; at least one.
func Fitting(publications []Publication) []Publication {
	size := 0
	for i, p := range publications {
		text, _ := json.Marshal(p) // it has only strings and numbers
		if size += len(text); size > fits && i > 0 {
			return publications[:i]
		}
	}
	return publications
}

// EdgeEvidence is an observation of an edge together with what the registry holds of
// it.
type EdgeEvidence struct {
	Observation EdgeObservation
	// Seen is when the edge last announced itself, or answered.
	Seen time.Time
	// Wanted are the newest publications of all services.
	Wanted []WantedVersion
	// Open is the drift that has begun at the edge and not ended, oldest first.
	Open []OpenDrift
}

// WantedVersion is the newest publication of a service, as an edge should have it.
type WantedVersion struct {
	Service string
	Version int64
	// Age is how long ago it was made.
	Age time.Duration
	// Acknowledged is the version that the edge has; 0 if none is known.
	Acknowledged int64
	// Interim reports whether it leaves out part of the release for a deployment that
	// has ended since.
	Interim bool
}

// EdgeFindings is what follows from an observation of an edge.
type EdgeFindings struct {
	// Events are new; the registry fills in their IDs.
	Events []Event
	// Open is the drift that is open from now on.
	Open []OpenDrift
	// Missing are the services whose newest publication the edge lacks, although it
	// answers. Remake are those of which it has a publication that the registry does not
	// have: they get a newer one.
	Missing, Remake []string
}
