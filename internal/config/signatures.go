package config

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/imageref"
)

// signatures checks what can be checked without reading keys, which are on other
// machines.
func (v *validation) signatures(c *Config) {
	required := c.ImageRegistry.RequireSignature
	for _, scope := range slices.Sorted(maps.Keys(required)) {
		key := fmt.Sprintf("image_registry.require_signature.%q", scope)
		err := imageref.CheckScope(scope)
		v.check(err == nil, key, "%v", err)
		v.check(len(required[scope]) > 0 && !slices.Contains(required[scope], ""), key, "must list files of public keys, such as cosign.pub")
	}
	v.check(c.Build.SigningPassphraseFile == "" || c.Build.SigningKeyFile != "", "build.signing_passphrase_file", "needs build.signing_key_file, which is not set")
}

// keyFiles reads elements of the form REGISTRY=FILE[:FILE].
func keyFiles(elements []string) (map[string][]string, error) {
	lists := map[string][]string{}
	for _, element := range elements {
		scope, files, found := strings.Cut(element, "=")
		if !found {
			return nil, fmt.Errorf("%q must be an image registry and files, such as registry.example=/etc/mcp/cosign.pub", element)
		}
		lists[scope] = strings.Split(files, ":")
	}
	return lists, nil
}

// SigningPassphrase reads the passphrase of the key that signs images: that of
// build.signing_passphrase_file or else, as cosign does, of COSIGN_PASSWORD. It refuses a
// key and a passphrase that other users of this machine can read.
func (c *Config) SigningPassphrase() ([]byte, error) {
	if c.Build.SigningKeyFile == "" {
		return nil, nil
	}
	if err := mustBePrivate(c.Build.SigningKeyFile); err != nil {
		return nil, err
	}
	path := c.Build.SigningPassphraseFile
	if path == "" {
		return []byte(c.getenv("COSIGN_PASSWORD")), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read build.signing_passphrase_file: %w", err)
	}
	return bytes.TrimRight(text, "\r\n"), mustBePrivate(path)
}
