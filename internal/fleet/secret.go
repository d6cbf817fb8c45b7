package fleet

// ManagedSecret is a secret of a service that the registry has: not one that an operator
// made with podman on a node.
type ManagedSecret struct {
	// Version is the newest one.
	Version int `json:"version"`
	// Nodes are those that can open it, sorted: it is sealed to the key that they have.
	Nodes []string `json:"nodes,omitempty"`
}
