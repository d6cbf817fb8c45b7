package keyring

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// Add adds a new key to the file at path, after the others: the key only decrypts, until
// [Promote] makes it the first. If there is no file, Add makes one, whose key encrypts
// at once unless only is set.
func Add(path string, only bool) (added Key, r Ring, err error) {
	r, err = change(path, func(r *Ring) error {
		added = Generate(time.Now())
		if len(r.Keys) == 0 {
			r.Standby = only
		}
		if len(r.Keys) >= maxKeys {
			return fault.New(fault.Invalid, "%s has %d keys, which is the most", path, maxKeys).
				WithHint("remove those with which nothing is encrypted any more: mcp key remove ID")
		}
		r.Keys = append(r.Keys, added)
		return nil
	})
	return added, r, err
}

// Promote makes a key the one that encrypts.
func Promote(path, id string) (Ring, error) {
	return change(path, func(r *Ring) error {
		k, err := r.find(path, id)
		if err != nil {
			return err
		}
		r.Standby = false
		r.Keys = slices.Insert(slices.DeleteFunc(r.Keys, func(other Key) bool { return other.ID == id }), 0, k)
		return nil
	})
}

// Remove removes a key that does not encrypt.
func Remove(path, id string) (Ring, error) {
	return change(path, func(r *Ring) error {
		if _, err := r.find(path, id); err != nil {
			return err
		}
		if r.Keys[0].ID == id {
			return fault.New(fault.Conflict, "key %s is the first of %s", id, path).
				WithHint("make another key the first: mcp key new, mcp key promote ID")
		}
		r.Keys = slices.DeleteFunc(r.Keys, func(k Key) bool { return k.ID == id })
		return nil
	})
}

// find returns the key of a name, or NotFound.
func (r Ring) find(path, id string) (Key, error) {
	k, ok := r.Find(id)
	if !ok {
		return k, fault.New(fault.NotFound, "%s has no key %s", path, id).WithHint("list its keys: mcp key list")
	}
	return k, nil
}

// change changes the file at path, which it creates if there is none. If several
// processes do so at once, each sees what the others have written.
func change(path string, edit func(*Ring) error) (r Ring, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return r, fault.Wrap(fault.Internal, err, "change the encryption keys of %s", path)
	}
	lock, err := os.Open(filepath.Dir(path)) // the file itself is replaced
	if err != nil {
		return r, fault.Wrap(fault.Internal, err, "lock the encryption keys of %s", path)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return r, fault.Wrap(fault.Internal, err, "lock the encryption keys of %s", path)
	}
	if _, statErr := os.Lstat(path); !errors.Is(statErr, fs.ErrNotExist) {
		if r, err = Read(path); err != nil {
			return r, err
		}
	}
	if err := edit(&r); err != nil {
		return r, err
	}
	if len(r.Keys) == 0 {
		return r, fault.New(fault.NotFound, "the file of encryption keys %s does not exist", path)
	}
	return r, r.Write(path)
}
