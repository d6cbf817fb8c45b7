package fleet

// MaxSealed bounds the sealed secrets of a service that travel together, in bytes: those of
// a job or a step, and those of all other components, once for each of them. Temporal
// accepts 2 MiB at once and 4 MiB of all that a workflow orders at once; up to 768 KiB of
// that are the definition.
const MaxSealed = 1 << 20

// MaxKept bounds what a deploy reads about the secrets of a service, in bytes: their
// KeptSecrets as JSON. A release, which has them, also has a definition of up to 768 KiB,
// and Temporal accepts 2 MiB.
const MaxKept = 512 << 10

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
	// Size is how many bytes its envelope has on its way, at most; 0 if that is unknown.
	Size int `json:"size,omitempty"`
}

// SecretRef names a version of a secret of a service.
type SecretRef struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
}
