package fleet

import (
	"strings"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// The suffixes of the names of containers that wait: for the cut-over, and for
// their removal.
const (
	NextSuffix = ".next"
	PrevSuffix = ".prev"
)

// RealName returns a container's name without such a suffix.
func RealName(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, NextSuffix), PrevSuffix)
}

// Container is a container of a node. A survey fills in the first fields alone,
// those that a plan depends on; an observation and a list fill in the others too.
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

	ID string `json:"id,omitempty"`
	// Image is the reference that it was made from; Digest its manifest's
	// where the engine knows it.
	Image  string `json:"image,omitempty"`
	Digest string `json:"digest,omitempty"`
	// State is the engine's word for what it is doing.
	State string `json:"state,omitempty"`
	// Health is the engine's own health status; "" where it has none.
	Health   string `json:"health,omitempty"`
	ExitCode int    `json:"exit_code,omitempty"`
	// Restarts is how often the engine has restarted it.
	Restarts int `json:"restarts,omitempty"`
	// Started is when it was last started; zero if never.
	Started time.Time `json:"started,omitzero"`

	// Restarted is when its recent restarts were noticed; the registry keeps it.
	Restarted []time.Time `json:"restarted,omitempty"`
	// Ports are those that it publishes on its host, and UptimeSeconds how long it
	// has been running, by the clock of the node that started it. Only a list has
	// them.
	Ports         []servicedef.Port `json:"ports,omitempty"`
	UptimeSeconds int64             `json:"uptime_seconds,omitempty"`
}
