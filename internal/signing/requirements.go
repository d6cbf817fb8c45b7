package signing

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/metacircular/mcp/internal/imageref"
)

// Requirements maps image registries, or parts of them such as
// "registry.example:5000/shop", to the files of the public keys of which one must have
// signed each image.
type Requirements map[string][]string

// For returns the longest key that an image's name begins with, and the files of its keys;
// "" if the image needs no signature.
func (r Requirements) For(image string) (scope string, files []string) {
	ref, err := imageref.Parse(image)
	if err != nil {
		return "", nil // no engine accepts it
	}
	name := ref.Name()
	for candidate := range r {
		if (name == candidate || strings.HasPrefix(name, candidate+"/")) && len(candidate) > len(scope) {
			scope = candidate
		}
	}
	return scope, r[scope]
}

// ReadKeys reads files of public keys.
func ReadKeys(files []string) ([]PublicKey, error) {
	var keys []PublicKey
	for _, file := range files {
		key, err := readKey(file)
		if err != nil {
			return nil, fmt.Errorf("read the public key %s: %w", file, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// longestKeyFile bounds a file with a key, in bytes.
const longestKeyFile = 64 << 10

func readKey(file string) (PublicKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return PublicKey{}, errors.Unwrap(err)
	}
	if !info.Mode().IsRegular() || info.Size() > longestKeyFile {
		return PublicKey{}, errors.New("it is not a public key in PEM, such as cosign.pub")
	}
	// Whoever may write to it decides whose signatures count.
	if info.Mode().Perm()&0o002 != 0 {
		return PublicKey{}, fmt.Errorf("others may write to it (mode %04o); run chmod o-w %s", info.Mode().Perm(), file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return PublicKey{}, errors.Unwrap(err)
	}
	return ParsePublicKey(text)
}
