package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"github.com/metacircular/mcp/internal/fault"
)

const (
	// maxFile and maxKeys bound a file of keys.
	maxFile = 64 << 10
	maxKeys = 100
	// standby is the first line of a file whose keys only decrypt so far.
	standby = "standby"
)

// Ring is the content of a file of keys.
type Ring struct {
	// Keys are in the order of the file.
	Keys []Key
	// Standby reports whether none of the keys encrypts yet; otherwise the first does.
	Standby bool
}

// Find returns the key of a name.
func (r Ring) Find(id string) (Key, bool) {
	i := slices.IndexFunc(r.Keys, func(k Key) bool { return k.ID == id })
	if i < 0 {
		return Key{}, false
	}
	return r.Keys[i], true
}

// IDs returns the names of the keys, in the order of the file.
func (r Ring) IDs() []string {
	ids := make([]string, len(r.Keys))
	for i, k := range r.Keys {
		ids[i] = k.ID
	}
	return ids
}

// Read reads a file of keys. A file that other users could read, or that is a link, is
// Unauthorized, a missing one NotFound, and one that is not a file of keys Invalid: the
// error then names the line and quotes nothing of it.
func Read(path string) (Ring, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Ring{}, fault.New(fault.NotFound, "the file of encryption keys %s does not exist", path).
			WithHint("copy it from another host of the fleet, or make the first one: mcp key new --file %s", path)
	case errors.Is(err, syscall.ELOOP):
		return Ring{}, fault.New(fault.Unauthorized, "the file of encryption keys %s is a symbolic link", path).
			WithHint("replace it with the file itself")
	case err != nil:
		return Ring{}, fault.Wrap(fault.Unauthorized, err, "read the encryption keys")
	}
	defer file.Close()
	if err := private(path, file); err != nil {
		return Ring{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return Ring{}, fault.Wrap(fault.Internal, err, "read the encryption keys of %s", path)
	}
	return parseFile(path, text)
}

// private returns an error unless the file's owner is this process's user or root, and
// no other user can read it.
func private(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "read the encryption keys")
	}
	if !info.Mode().IsRegular() {
		return fault.New(fault.Invalid, "%s holds no encryption keys: it is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fault.New(fault.Unauthorized, "the file of encryption keys %s has mode %04o: other users could read it", path, mode).
			WithHint("run: chmod 600 %s", path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() && stat.Uid != 0 {
		return fault.New(fault.Unauthorized, "the file of encryption keys %s belongs to user %d, this process to user %d", path, stat.Uid, os.Geteuid())
	}
	return nil
}

func parseFile(path string, text []byte) (Ring, error) {
	invalid := func(line int, format string, args ...any) error {
		return fault.New(fault.Invalid, "%s:%d: %s", path, line, fmt.Sprintf(format, args...)).
			WithHint("a line is a comment (#) or a key: ID KEY, as mcp key new writes it")
	}
	if len(text) > maxFile {
		return Ring{}, invalid(1, "a file of encryption keys has at most %d KiB", maxFile>>10)
	}
	var r Ring
	number := 0
	for line := range bytes.Lines(text) {
		number++
		words := strings.Fields(string(line))
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
			continue
		case len(words) == 1 && words[0] == standby && len(r.Keys) == 0 && !r.Standby:
			r.Standby = true
			continue
		case len(words) != 2:
			return Ring{}, invalid(number, "it has %d words", len(words))
		}
		k, err := parse(words[0], words[1])
		if err != nil {
			return Ring{}, invalid(number, "%v", err)
		}
		for _, other := range r.Keys {
			if other.ID == k.ID {
				return Ring{}, invalid(number, "key %s is in the file already", k.ID)
			}
			if other.equal(k) {
				return Ring{}, invalid(number, "keys %s and %s are the same", other.ID, k.ID)
			}
		}
		if r.Keys = append(r.Keys, k); len(r.Keys) > maxKeys {
			return Ring{}, invalid(number, "a file has at most %d keys", maxKeys)
		}
	}
	if len(r.Keys) == 0 {
		return Ring{}, fault.New(fault.Invalid, "%s has no encryption key", path).
			WithHint("copy it from another host of the fleet, or make the first key: mcp key new --file %s", path)
	}
	return r, nil
}

// Write replaces the file at path, with mode 0600.
func (r Ring) Write(path string) error {
	var text strings.Builder
	text.WriteString("# Encryption keys of mcp, a line each: ID KEY. The first key encrypts, all decrypt.\n" +
		"# Every client and worker of the fleet needs this file; behind a gateway, the gateway\n" +
		"# and the control workers alone. Whoever has it can read what rests in Temporal and in\n" +
		"# Postgres. See mcp key --help.\n")
	if r.Standby {
		text.WriteString("# None of them encrypts yet: mcp key promote\n" + standby + "\n")
	}
	for _, k := range r.Keys {
		text.WriteString(k.text() + "\n")
	}
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = renameio.WriteFile(path, []byte(text.String()), 0o600, renameio.WithTempDir(filepath.Dir(path)), renameio.IgnoreUmask())
	}
	if err != nil {
		return fault.Wrap(fault.Internal, err, "write the encryption keys")
	}
	return nil
}
