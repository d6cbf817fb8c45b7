package codec

import (
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/keyring"
)

// noKeys returns the fault of a payload that a process without keys was given.
func (c *Codec) noKeys(id string) *fault.Error {
	if c.behind {
		return fault.New(fault.Unauthorized, "what Temporal has is encrypted with key %s, and the gateway has not decrypted it", clip(id)).
			WithHint("give every gateway the file of keys: [temporal] encryption_key_file in its mcp.toml")
	}
	return fault.New(fault.Unauthorized, "what Temporal has is encrypted with key %s, and %s has no encryption keys", clip(id), c.place).
		WithHint("copy the file of keys from another host of the fleet and name it: %s", c.setting)
}

// noKey returns the fault of a key that a file lacks.
func (c *Codec) noKey(id string) *fault.Error {
	of := ""
	if c.place != thisProcess {
		of = " of " + c.place
	}
	f := fault.New(fault.Unauthorized, "what Temporal has is encrypted with key %s, which %s%s (%s) does not have", clip(id), c.keys.Path(), of, list(c.keys))
	if err := c.keys.Problem(); err != nil {
		return f.WithHint("the file could not be read when it changed: %v", err)
	}
	return f.WithHint("copy the file of keys from another host of the fleet; %s names it", c.setting)
}

// wrongKey returns the fault of a payload that a key of its name does not open.
func wrongKey(id string, keys *keyring.Keys, cause error) *fault.Error {
	return fault.Wrap(fault.Unauthorized, cause, "what Temporal has cannot be decrypted with key %s of %s", clip(id), keys.Path()).
		WithHint("compare the file with that of another host of the fleet: mcp key list shows its keys without their secrets")
}

// list returns the names of the keys of a file.
func list(keys *keyring.Keys) string {
	ids := keys.Ring().IDs()
	if len(ids) == 1 {
		return "key " + ids[0]
	}
	return "keys " + strings.Join(ids, ", ")
}

// refuse notes that something could not be read.
func (c *Codec) refuse(f *fault.Error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread, c.unreadAt = f, time.Now()
	return refusal.New(f)
}

// unreadFor is how long a payload that could not be read makes a process not ready.
const unreadFor = 5 * time.Minute

// Check fails while the file of keys cannot be read, and for some minutes after
// something could not be decrypted. It is a check of readiness.
func (c *Codec) Check() error {
	if c.keys != nil {
		if err := c.keys.Problem(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unread == nil || time.Since(c.unreadAt) > unreadFor {
		return nil
	}
	return c.unread
}
