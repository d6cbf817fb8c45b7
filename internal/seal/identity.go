package seal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"filippo.io/age"

	"github.com/metacircular/mcp/internal/fault"
)

// Identity is a private X25519 key. It has no String and no MarshalText: it is in its
// file and in memory, and nowhere else.
type Identity struct{ private *age.X25519Identity }

// Key returns the identity's public key.
func (i *Identity) Key() Key { return Key{i.private.Recipient().String()} }

// Load reads the identity in the file at path. If there is no such file, it makes an
// identity and writes it there, with mode 0600; of several processes that do so at once,
// all return the same one. A file that others can read, that another user owns, or that
// is a link is Unauthorized.
func Load(path string) (*Identity, error) {
	text, err := LoadFile(path, func() (string, error) {
		key, err := age.GenerateX25519Identity()
		if err != nil {
			return "", err
		}
		return key.String(), nil
	})
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

// Read is Load of a file that must exist: if it does not, the error is NotFound. Lines
// that begin with # are ignored, as in the files of age-keygen.
func Read(path string) (*Identity, error) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no key file %s", path)
	}
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

func parse(path, text string) (*Identity, error) {
	key, err := age.ParseX25519Identity(withoutComments(text))
	if err != nil {
		// The cause might quote the file, which may hold a secret.
		return nil, fault.New(fault.Invalid, "the key file %s holds no private X25519 key", path).
			WithHint("restore it from a backup; without it, what was sealed to its key is lost. Where it is removed, a new key is made, which an operator has to admit")
	}
	return &Identity{key}, nil
}

// withoutComments returns the lines that are not comments, without space around them.
func withoutComments(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.HasPrefix(line, "#") })
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// LoadFile returns the text of a file with a private key of another kind, as Load does
// for an identity. Generate makes the text if there is no such file.
func LoadFile(path string, generate func() (string, error)) (string, error) {
	text, err := readFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if err := createFile(path, generate); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fault.Wrap(fault.Of(err).Kind, err, "creating the key file %s", path)
	}
	return readFile(path)
}

// Create makes an identity and writes it to a file that must not exist: one that does is
// a Conflict.
func Create(path string) (*Identity, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	err = createFile(path, func() (string, error) { return key.String(), nil })
	if errors.Is(err, fs.ErrExist) {
		return nil, fault.New(fault.Conflict, "%s exists already", path)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Of(err).Kind, err, "creating the key file %s", path)
	}
	return &Identity{key}, nil
}

// maxFile bounds a file with a private key, in bytes.
const maxFile = 4 << 10

// readFile returns the text of a file that this process's user alone can read.
func readFile(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", err
	case errors.Is(err, syscall.ELOOP):
		return "", fault.Wrap(fault.Unauthorized, err, "the key file %s is a symbolic link", path).
			WithHint("replace it with the file itself")
	case err != nil:
		return "", fault.Wrap(fault.Unauthorized, err, "reading the key file %s", path)
	}
	defer file.Close()
	if err := private(path, file); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "reading the key file %s", path)
	}
	return string(text), nil
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
		return fault.New(fault.Unauthorized, "the key file %s belongs to user %d, this process to user %d", path, stat.Uid, os.Geteuid()).
			WithHint("run this as the user of the file: runuser -u %s -- mcp …", userName(stat.Uid))
	}
	return nil
}

// userName is the name of a user, or the number of one without a name.
func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if account, err := user.LookupId(number); err == nil {
		return account.Username
	}
	return number
}

// createFile writes a new file with mode 0600. If there is one by now, the error is an
// fs.ErrExist. The file is complete when it appears under its name.
func createFile(path string, generate func() (string, error)) error {
	text, err := generate()
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
	if _, err := temp.WriteString(text); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil {
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
