package fleet

// Adopted is a container that mcp has not started and runs as a component all
// the same. An engine adds no label to a container that exists, so the registry
// keeps, by the container's id, what its labels would say. No other container
// ever has that id: whatever takes its name is somebody else's.
type Adopted struct {
	ID        string `json:"id"`
	Node      string `json:"node"`
	Service   string `json:"service"`
	Component string `json:"component"`
	// Deployment is the number of the deployment that adopted it.
	Deployment int    `json:"deployment"`
	Spec       string `json:"spec"`
}
