package fleet

import (
	"strings"
	"time"
)

// Suffixes of the names under which a component's container waits to take
// over, and waits to be removed.
const (
	NextSuffix = ".next"
	PrevSuffix = ".prev"
)

// RealName is a container's name without the suffix of one that waits.
func RealName(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, NextSuffix), PrevSuffix)
}

// Container is a container as a node was seen to have it.
type Container struct {
	Name string `json:"name"`
	// Service and Component are its labels; "" on a container that is not
	// mcp's.
	Service   string `json:"service,omitempty"`
	Component string `json:"component,omitempty"`
	// Deployment and Spec are its labels too.
	Deployment int    `json:"deployment,omitempty"`
	Spec       string `json:"spec,omitempty"`
	Running    bool   `json:"running"`
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
