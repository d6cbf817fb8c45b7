package fleet

// KeptSecret is a secret of a service, as far as a deploy depends on it.
type KeptSecret struct {
	// Newest is the number of the version that deployments use from now on.
	Newest int `json:"newest"`
	// Versions are those that are kept, by their numbers.
	Versions map[int]KeptVersion `json:"versions,omitempty"`
}

// KeptVersion is a version of a secret.
type KeptVersion struct {
	// Nodes are those that can open it, sorted: it is sealed to the key that they have.
	Nodes []string `json:"nodes,omitempty"`
	// Signer has signed it, "ed25519:…".
	Signer string `json:"signer"`
}

// SecretRef names a version of a secret of a service.
type SecretRef struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
}
