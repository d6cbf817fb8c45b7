package servicedef

import (
	"cmp"
	"encoding/json"
	"maps"
	"path"
	"slices"
)

// Secret is a podman secret as a file of the container. One that has only a source is
// written as that name.
type Secret struct {
	// Source is the secret's name in the service, or in podman on the node.
	Source string `toml:"source" json:"source"`
	// Target is the file: a name below /run/secrets, or an absolute path. "" means Source.
	Target string `toml:"target" json:"target,omitempty"`
	// UID and GID own the file.
	UID int `toml:"uid" json:"uid,omitempty"`
	GID int `toml:"gid" json:"gid,omitempty"`
	// Mode is octal, "0400"; "" means "0444".
	Mode string `toml:"mode" json:"mode,omitempty"`
}

// plain reports whether the secret is written as its name.
func (s Secret) plain() bool { return s == Secret{Source: s.Source} }

// recordedSecret is Secret without its methods.
type recordedSecret Secret

// MarshalJSON encodes a plain secret as its name, as it was when a secret had no other
// keys.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s.plain() {
		return json.Marshal(s.Source)
	}
	return json.Marshal(recordedSecret(s))
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (s *Secret) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*s = Secret{}
		return json.Unmarshal(text, &s.Source)
	}
	return json.Unmarshal(text, (*recordedSecret)(s))
}

// secretsDir is where the files of secrets are by default.
const secretsDir = "/run/secrets"

// Path returns the file of the container that the secret becomes.
func (s Secret) Path() string {
	target := cmp.Or(s.Target, s.Source)
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	return path.Join(secretsDir, target)
}

func secretSources(secrets []Secret) []string {
	names := make([]string, len(secrets))
	for i, s := range secrets {
		names[i] = s.Source
	}
	return names
}

// SecretVersion is a version of a secret of the service.
type SecretVersion struct {
	// Name is the secret's in the service. The definition may name it otherwise: see
	// Service.SecretName.
	Name    string `json:"name"`
	Version int    `json:"version"`
}

// SecretVersions are the versions of the secrets that a container has, by the names that
// the definition gives them. A secret that is not among them is podman's own.
type SecretVersions map[string]SecretVersion

// Names returns the names that the definition gives them, sorted.
func (v SecretVersions) Names() []string { return slices.Sorted(maps.Keys(v)) }
