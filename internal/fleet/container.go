package fleet

import (
	"cmp"
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

// Ref names a container to act on, and has its id where that is known. A name may
// have passed to another container meanwhile.
type Ref struct {
	Name string `json:"name"`
	ID   string `json:"id,omitempty"`
}

// Refs names containers whose ids are not known.
func Refs(names ...string) []Ref {
	refs := make([]Ref, 0, len(names))
	for _, name := range names {
		refs = append(refs, Ref{Name: name})
	}
	return refs
}

// Key returns what an engine finds the container by.
func (r Ref) Key() string { return cmp.Or(r.ID, r.Name) }

func (r Ref) String() string { return r.Name }

// Container is a container of a node. A survey fills in the first fields alone,
// those that a plan depends on; an observation and a list fill in the others too.
type Container struct {
	Name string `json:"name"`
	// Service and Component are its labels; "" on a container that is not
	// mcp's.
	Service   string `json:"service,omitempty"`
	Component string `json:"component,omitempty"`
	// Deployment, Run and Spec are its labels too.
	Deployment int    `json:"deployment,omitempty"`
	Run        string `json:"run,omitempty"`
	Spec       string `json:"spec,omitempty"`
	Running    bool   `json:"running"`
	// Done is set where it has ended with exit code 0.
	Done bool `json:"done,omitempty"`
	// Task is what its labels say of it; zero on a container that is none.
	Task Task `json:"task,omitzero"`
	// ID identifies it: its name may pass to another container.
	ID string `json:"id,omitempty"`
	// Unnamed is why no name leads to it, although it has an address on the network of
	// its service; "" where that is as it should be.
	Unnamed string `json:"unnamed,omitempty"`
	// Image is the reference that it was made from, and Ports are those that it
	// publishes on its host.
	Image string            `json:"image,omitempty"`
	Ports []servicedef.Port `json:"ports,omitempty"`

	// Digest is its image's manifest's where the engine knows it.
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
	// UptimeSeconds is how long it has been running, by the clock of the node that
	// started it. Only a list has it.
	UptimeSeconds int64 `json:"uptime_seconds,omitempty"`
}
