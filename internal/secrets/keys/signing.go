package keys

import (
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
)

// LoadSigning returns the signing key in the file at path. If there is no such file, it
// makes a key and writes it there, with mode 0600. A file that others can read, that
// another user owns, or that is a link is Unauthorized.
func LoadSigning(path string) (secrets.SigningKey, error) {
	text, err := seal.LoadFile(path, secrets.GenerateSigningKey)
	if err != nil {
		return secrets.SigningKey{}, err
	}
	key, err := secrets.ParseSigningKey(text)
	if err != nil {
		return key, fault.Wrap(fault.Invalid, err, "reading the signing key %s", path).
			WithHint("restore it from a backup; or remove it, so that a new one is made, which each node has to list: mcp secret signer")
	}
	return key, nil
}
