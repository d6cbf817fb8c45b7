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
	// systemID holds the system's identity: 32 digits, generated at the first
	// boot. In images of containers it is missing or empty.
	systemID = "/etc/machine-id"
	// ownID holds the identity that mcp generates if systemID has none.
	ownID = "/var/lib/mcp/machine"
)

// MachineID returns an identity that no other machine has: a hash of the content
// of a file, which it creates if it is missing. "" means systemID, or else ownID.
// The content stays on the machine, because machine-id(5) declares it
// confidential and recommends a hash.
func MachineID(path string) (string, error) {
	if path == "" {
		path = defaultFile()
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeID(path); err != nil {
			return "", fmt.Errorf("create an identity for this machine: %w", err)
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

// defaultFile returns systemID if that holds an identity, or else ownID.
func defaultFile() string {
	if text, err := os.ReadFile(systemID); err == nil && len(strings.TrimSpace(string(text))) == 32 {
		return systemID
	}
	return ownID
}

// makeID writes a new identity. Of two concurrent calls the first determines it,
// and no reader sees a partial file.
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
