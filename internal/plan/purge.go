package plan

// Forgotten is what a purge has forgotten of a service, or would: how many rows
// of each kind.
type Forgotten struct {
	Service string `json:"service"`
	// Deployments are those of any outcome, each with its definition and the
	// digests that a rollback to it would need.
	Deployments int `json:"deployments"`
	// Definitions is 1 where there is one that the operator gave last.
	Definitions int `json:"definitions"`
	// Ports are those that still rest.
	Ports int `json:"ports"`
	// Events are what the monitor has told of it, and Drift what it would tell
	// the end of.
	Events int `json:"events"`
	Drift  int `json:"drift"`
}

// Nothing reports whether there was nothing to forget.
func (f Forgotten) Nothing() bool { return f == Forgotten{Service: f.Service} }
