package node

import (
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

const (
	// systemID is where the system keeps its own identity: 32 digits, made when
	// it was first booted. Images of containers have none, or an empty one.
	systemID = "/etc/machine-id"
	// ownID is where one is made in its stead.
	ownID = "/var/lib/mcp/machine"
)

// MachineID tells this machine from others, by what a file holds; it makes one
// where there is none. "" is the system's file, or ownID. What the file holds stays
// on the machine: machine-id(5) wants that confidential, and asks for a hash.
func MachineID(path string) (string, error) {
	if path == "" {
		path = defaultFile()
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
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

// defaultFile is the system's file where it holds an identity.
func defaultFile() string {
	if text, err := os.ReadFile(systemID); err == nil && len(strings.TrimSpace(string(text))) == 32 {
		return systemID
	}
	return ownID
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
