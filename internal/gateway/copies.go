package gateway

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"

	"github.com/metacircular/mcp/internal/registry"
)

// copies are the file with what a gateway needs to start while Postgres is away. Its keys
// are sealed as they are in Postgres.
type copies struct {
	path string
	mu   *sync.Mutex
}

// kept is the content of the file.
type kept struct {
	Keys    map[string]registry.GatewayKey `json:"keys"`
	Revoked []string                       `json:"revoked"`
}

// newCopies returns the copies in a directory, which need not exist.
func newCopies(dir string) copies {
	return copies{filepath.Join(dir, "copies.json"), new(sync.Mutex)}
}

// read returns what is kept; nothing if it cannot be read.
func (c copies) read() (k kept) {
	text, err := os.ReadFile(c.path)
	if err != nil || json.Unmarshal(text, &k) != nil {
		return kept{}
	}
	return k
}

func (c copies) keepKeys(sealed map[string]registry.GatewayKey) error {
	return c.change(func(k *kept) { k.Keys = sealed })
}

func (c copies) keepRevoked(ids []string) error {
	return c.change(func(k *kept) { k.Revoked = ids })
}

func (c copies) change(f func(*kept)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.read()
	f(&k)
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	dir := filepath.Dir(c.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".copies-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	defer temp.Close()
	if _, err := temp.Write(text); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), c.path)
}
