package node

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// systemID is where the system keeps its own identity.
const systemID = "/etc/machine-id"

// MachineID tells this machine from others, by what a file holds; it makes one
// where there is none. "" is the system's own. The file's own text stays on the machine: machine-id(5)
// wants it confidential, and asks for a hash instead.
func MachineID(path string) (string, error) {
	path = cmp.Or(path, systemID)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path != systemID {
		if err := makeID(path); err != nil {
			return "", fmt.Errorf("make an identity for this machine: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fmt.Errorf("read the identity of this machine: %w", err)
	}
	id := strings.TrimSpace(string(text))
	if id == "" {
		return "", fmt.Errorf("read the identity of this machine: %s is empty", path)
	}
	sum := sha256.Sum256([]byte("mcp node\n" + id))
	return hex.EncodeToString(sum[:8]), nil
}

// makeID writes a new identity. Of two that do so at once, one succeeds, and
// nobody reads half a file.
func makeID(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	whole, err := os.CreateTemp(dir, ".machine-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(whole.Name()) }()
	_, err = whole.WriteString(rand.Text() + "\n")
	if err := errors.Join(err, whole.Close()); err != nil {
		return err
	}
	if err := os.Link(whole.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
