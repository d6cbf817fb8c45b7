package seal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"filippo.io/age"

	"github.com/metacircular/mcp/internal/fault"
)

// Identity is a private X25519 key. It has no String and no MarshalText: it is in its
// file and in memory, and nowhere else.
type Identity struct{ private *age.X25519Identity }

// Key returns the identity's public key.
func (i *Identity) Key() Key { return Key{i.private.Recipient().String()} }

// Load reads the identity in the file at path. Where there is no such file, it makes
// an identity and writes it there, with mode 0600; of several processes that do so at
// once, all return the same one. A file that others can read, that another user owns,
// or that is a link is Unauthorized.
func Load(path string) (*Identity, error) {
	i, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return i, err
	}
	if err := create(path); err != nil {
		return nil, fault.Wrap(fault.Of(err).Kind, err, "creating the key file %s", path)
	}
	return read(path)
}

func read(path string) (*Identity, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case errors.Is(err, syscall.ELOOP):
		return nil, fault.Wrap(fault.Unauthorized, err, "the key file %s is a symbolic link", path).
			WithHint("replace it with the file itself")
	case err != nil:
		return nil, fault.Wrap(fault.Unauthorized, err, "reading the key file %s", path)
	}
	defer file.Close()
	if err := private(path, file); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, 4<<10))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "reading the key file %s", path)
	}
	key, err := age.ParseX25519Identity(string(text))
	if err != nil {
		// The cause might quote the file, which may hold a secret.
		return nil, fault.New(fault.Invalid, "the key file %s holds no private X25519 key", path).
			WithHint("restore it from a backup; without it, what was sealed to its key is lost. Where it is removed, a new key is made, which an operator has to admit")
	}
	return &Identity{key}, nil
}

// private returns an error unless only this process's user can read the file.
func private(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "reading the key file %s", path)
	}
	if !info.Mode().IsRegular() {
		return fault.New(fault.Invalid, "the key file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fault.New(fault.Unauthorized, "the key file %s has mode %04o: other users could read it", path, mode).
			WithHint("run: chmod 600 %s", path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fault.New(fault.Unauthorized, "the key file %s belongs to user %d, this process to user %d", path, stat.Uid, os.Geteuid())
	}
	return nil
}

// create writes a new identity to path, unless there is a file by now. The file is
// complete when it appears under its name.
func create(path string) error {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".key-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	defer temp.Close()
	if _, err := temp.WriteString(key.String()); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// refused returns the error of a value that could not be decrypted.
func refused(subject string, key Key, err error) error {
	var mismatch *age.NoIdentityMatchError
	if errors.As(err, &mismatch) {
		return fault.Wrap(fault.Unauthorized, err, "opening %s: it was not sealed to the key %s", subject, key)
	}
	return fault.New(fault.Invalid, "opening %s: the sealed value is damaged", subject)
}
