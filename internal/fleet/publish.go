package fleet

import "time"

// HoldTime is how long a request waits at an edge while its route is held.
const HoldTime = 30 * time.Second

// PublishRequest publishes what the registry has of a service.
type PublishRequest struct {
	Service string `json:"service"`
	// Deployment and Run are those of the deployment that asks for it: once that is
	// closed, the request is a Conflict. 0 is for a request of no deployment.
	Deployment int    `json:"deployment,omitempty"`
	Run        string `json:"run,omitempty"`
	// Held are the components whose only container is about to be replaced. Keep leaves
	// those that are held as they are, and Held is ignored.
	Held []string `json:"held,omitempty"`
	Keep bool     `json:"keep,omitempty"`
	// Stopped are the components that are about to be stopped: nothing is sent to them.
	Stopped []string `json:"stopped,omitempty"`
}

// MaintenanceRequest puts a service into maintenance, or ends it.
type MaintenanceRequest struct {
	Service string `json:"service"`
	On      bool   `json:"on"`
}

// Committed is what follows from a release.
type Committed struct {
	// Former are the images of the service's former releases.
	Former []FormerImage
	// Publishing is nil if edges neither serve nor served the service.
	Publishing *Publishing
	// Secrets are the versions of secrets that are kept, if the request asks for them.
	Secrets []SecretRef
}

// EdgeAdmission is a key that an operator admits for the name of an edge.
type EdgeAdmission struct {
	Edge string `json:"edge"`
	// Key is the public key; "" for the one that the edge has announced.
	Key string `json:"key,omitempty"`
}
