package fleet

import "time"

// Adopted is a container that mcp did not create and runs as a component all the
// same. An engine adds no label to an existing container, so the registry keeps, by
// the container's id, the labels that it would have. No other container ever has
// that id: one that takes its name is foreign.
type Adopted struct {
	ID        string `json:"id"`
	Node      string `json:"node"`
	Service   string `json:"service"`
	Component string `json:"component"`
	// Deployment is the number of the deployment that adopted it, Run its run.
	Deployment int    `json:"deployment"`
	Run        string `json:"run,omitempty"`
	Spec       string `json:"spec"`
	// StopTimeout is the release's, where the engine's own is another. It is not
	// recorded: AdoptedOn sets it.
	StopTimeout time.Duration `json:"stop_timeout,omitempty"`
}
