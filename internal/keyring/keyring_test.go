package keyring_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/keyring"
)

func TestSeal(t *testing.T) {
	k := keyring.Generate(time.Now())
	require.Regexp(t, `^20\d{6}-[a-z2-7]{6}$`, k.ID)
	bound := keyring.Bind("services", "shop")
	sealed := k.Seal("registry", bound, []byte("canary"))
	require.Len(t, sealed, len("canary")+keyring.Overhead)
	value, err := k.Open("registry", bound, sealed)
	require.NoError(t, err)
	require.Equal(t, "canary", string(value))

	for name, open := range map[string]func() ([]byte, error){
		"another purpose":    func() ([]byte, error) { return k.Open("payload", bound, sealed) },
		"another row":        func() ([]byte, error) { return k.Open("registry", keyring.Bind("services", "shop2"), sealed) },
		"words joined anew":  func() ([]byte, error) { return k.Open("registry", keyring.Bind("service", "sshop"), sealed) },
		"another key":        func() ([]byte, error) { return keyring.Generate(time.Now()).Open("registry", bound, sealed) },
		"a piece of a value": func() ([]byte, error) { return k.Open("registry", bound, sealed[:keyring.Overhead-1]) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open()
			require.Error(t, err)
		})
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	k, _, err := keyring.Add(path, false)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	secret := strings.Fields(string(text[strings.Index(string(text), k.ID):]))[1]
	raw, err := base64.StdEncoding.DecodeString(secret)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		printed := fmt.Sprintf(verb, k)
		require.NotContains(t, printed, secret)
		require.NotContains(t, printed, fmt.Sprint(raw[0])+" "+fmt.Sprint(raw[1]))
		require.Contains(t, printed, k.ID)
	}
}

func TestReadRefuses(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	other := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("l", 32)))
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
		kind fault.Kind
	}{
		"others may read it":    {"a " + good, 0o640, "has mode 0640: other users could read it", fault.Unauthorized},
		"nothing in it":         {"# nothing\n\n", 0o600, "has no encryption key", fault.Invalid},
		"a key that is short":   {"# one\na " + good[:20], 0o600, ":2: key a must be 32 bytes in base64", fault.Invalid},
		"a name that is none":   {"A! " + good, 0o600, ":1: the id of a key consists of", fault.Invalid},
		"a word alone":          {good, 0o600, ":1: it has 1 words", fault.Invalid},
		"a name twice":          {"a " + good + "\na " + other, 0o600, ":2: key a is in the file already", fault.Invalid},
		"a key twice":           {"a " + good + "\nb " + good, 0o600, ":2: keys a and b are the same", fault.Invalid},
		"standby after a key":   {"a " + good + "\nstandby", 0o600, ":2: it has 1 words", fault.Invalid},
		"something large":       {strings.Repeat("# large\n", 9000), 0o600, "at most 64 KiB", fault.Invalid},
		"hundreds of keys":      {keys(101), 0o600, ":101: a file has at most 100 keys", fault.Invalid},
		"something else (JSON)": {`{"key": "` + good + `"}`, 0o600, ":1: the id of a key", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			require.NoError(t, os.Chmod(path, c.mode))
			_, err := keyring.Read(path)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error()+fault.Of(err).Hint, good[:20])
			require.True(t, fault.Is(err, c.kind))
		})
	}
	t.Run("a link", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		require.NoError(t, os.Symlink("/etc/passwd", path))
		_, err := keyring.Read(path)
		require.ErrorContains(t, err, "is a symbolic link")
	})
	t.Run("nothing there", func(t *testing.T) {
		_, err := keyring.Read(filepath.Join(t.TempDir(), "keys"))
		require.True(t, fault.Is(err, fault.NotFound))
		require.Contains(t, fault.Of(err).Hint, "mcp key new --file")
	})
}

func keys(n int) string {
	var text strings.Builder
	for i := range n {
		secret := make([]byte, 32)
		secret[0] = byte(i)
		fmt.Fprintf(&text, "k%d %s\n", i, base64.StdEncoding.EncodeToString(secret))
	}
	return text.String()
}

func TestKeysOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "keys")
	first, _, err := keyring.Add(path, true)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	k, err := keyring.Open(path)
	require.NoError(t, err)
	_, encrypts := k.Current()
	require.False(t, encrypts, "a key in standby decrypts alone")

	_, err = keyring.Promote(path, first.ID)
	require.NoError(t, err)
	second, _, err := keyring.Add(path, true)
	require.NoError(t, err)
	_, found := k.Find(second.ID)
	require.True(t, found, "a key that is missing is looked for in the file")
	current, _ := k.Current()
	require.Equal(t, first.ID, current.ID)

	_, err = keyring.Remove(path, first.ID)
	require.ErrorContains(t, err, "is the first of")
	ring, err := keyring.Promote(path, second.ID)
	require.NoError(t, err)
	require.Equal(t, []string{second.ID, first.ID}, ring.IDs())
	_, err = keyring.Remove(path, "none")
	require.True(t, fault.Is(err, fault.NotFound))
	ring, err = keyring.Remove(path, first.ID)
	require.NoError(t, err)
	require.Equal(t, []string{second.ID}, ring.IDs())

	require.NoError(t, os.Chmod(path, 0o644))
	_, found = k.Find("none")
	require.False(t, found)
	require.ErrorContains(t, k.Problem(), "other users could read it")
	_, found = k.Find(second.ID)
	require.True(t, found, "the keys of before stay")
}

func TestChangesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	var changes sync.WaitGroup
	for range 8 {
		changes.Go(func() {
			if _, _, err := keyring.Add(path, false); err != nil {
				t.Error(err)
			}
		})
	}
	changes.Wait()
	ring, err := keyring.Read(path)
	require.NoError(t, err)
	require.Len(t, ring.Keys, 8)
	require.False(t, ring.Standby)
}
