package runtime

import "strings"

// The labels of the secrets that mcp creates, beside LabelService.
const (
	LabelSecret        = "mcp.secret"         // the secret's name in the service
	LabelSecretVersion = "mcp.secret.version" // its version
	LabelSecretCheck   = "mcp.secret.check"   // a keyed hash of the value, by a key of the node
	// LabelSecretParts is of a secret that is put together from others, which it names
	// with their versions: "db.v6 user.v1".
	LabelSecretParts = "mcp.secret.parts"
)

// LabelSecrets is the label of a container with the names of the secrets, of those that
// mcp creates, that it has: "mcp-shop.db-v6 mcp-shop.user-v1".
const LabelSecrets = "mcp.secrets"

// labelPrefix is that of every label of mcp's.
const labelPrefix = "mcp."

// MaxSecretName is the longest name of a secret that every engine accepts, in bytes, and
// MaxSecret the largest value. Podman has these limits since 3.1; later versions accept
// longer names.
const (
	MaxSecretName = 64
	MaxSecret     = 512000 - 1
)

// SecretSpec specifies a secret to create.
type SecretSpec struct {
	Name string
	// Labels are mcp's: their names begin with "mcp.".
	Labels map[string]string
	Value  []byte
}

// SecretInfo describes a secret, without its value.
type SecretInfo struct {
	Name string
	// Labels are mcp's; none for a secret that mcp did not create.
	Labels map[string]string
}

// Own returns the labels that are mcp's.
func Own(labels map[string]string) map[string]string {
	own := map[string]string{}
	for key, value := range labels {
		if strings.HasPrefix(key, labelPrefix) {
			own[key] = value
		}
	}
	return own
}
