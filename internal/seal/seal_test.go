package seal_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
)

func identity(t *testing.T) *seal.Identity {
	t.Helper()
	i, err := seal.Load(filepath.Join(t.TempDir(), "keys", "key"))
	require.NoError(t, err)
	return i
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	first, second := identity(t), identity(t)
	for _, value := range [][]byte{{}, []byte("s3cret"), bytes.Repeat([]byte{0, 255}, seal.MaxValue/2)} {
		sealed, err := seal.Seal("certificate/shop.example", value, first.Key(), second.Key())
		require.NoError(t, err)
		require.False(t, len(value) > 0 && bytes.Contains(sealed, value), "the value is in clear")
		for _, i := range []*seal.Identity{first, second} {
			opened, err := i.Open("certificate/shop.example", sealed)
			require.NoError(t, err)
			require.True(t, bytes.Equal(value, opened))
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	own, other := identity(t), identity(t)
	sealed, err := seal.Seal("a/b", []byte("s3cret"), own.Key())
	require.NoError(t, err)
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1

	for name, c := range map[string]struct {
		identity *seal.Identity
		subject  string
		sealed   []byte
		kind     fault.Kind
	}{
		"another key":                  {other, "a/b", sealed, fault.Unauthorized},
		"another subject":              {own, "a/c", sealed, fault.Invalid},
		"a beginning of the subject":   {own, "a/", sealed, fault.Invalid},
		"the subject and the value":    {own, "a/bs3", sealed, fault.Invalid},
		"no subject":                   {own, "", sealed, fault.Invalid},
		"one bit changed":              {own, "a/b", damaged, fault.Invalid},
		"cut in the middle":            {own, "a/b", sealed[:len(sealed)-8], fault.Invalid},
		"nothing":                      {own, "a/b", nil, fault.Invalid},
		"text that is no sealed value": {own, "a/b", []byte("s3cret"), fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			value, err := c.identity.Open(c.subject, c.sealed)
			require.Error(t, err)
			require.Nil(t, value)
			require.Equal(t, c.kind, fault.Of(err).Kind, "%v", err)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
}

func TestSealRefuses(t *testing.T) {
	key := identity(t).Key()
	for name, seal := range map[string]func() ([]byte, error){
		"no key":             func() ([]byte, error) { return seal.Seal("a", nil) },
		"the zero key":       func() ([]byte, error) { return seal.Seal("a", nil, key, seal.Key{}) },
		"a value too large":  func() ([]byte, error) { return seal.Seal("a", make([]byte, seal.MaxValue+1), key) },
		"a subject too long": func() ([]byte, error) { return seal.Seal(strings.Repeat("a", seal.MaxSubject+1), nil, key) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := seal()
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		})
	}
}

func TestKeys(t *testing.T) {
	key := identity(t).Key()
	parsed, err := seal.ParseKey(key.String())
	require.NoError(t, err)
	require.Equal(t, key, parsed)
	require.Regexp(t, `^([a-z2-7]{4}-){7}[a-z2-7]{4}$`, key.Fingerprint())

	text, err := json.Marshal(struct{ A, B seal.Key }{A: key})
	require.NoError(t, err)
	var back struct{ A, B seal.Key }
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, key, back.A)
	require.True(t, back.B.IsZero())

	for _, bad := range []string{"", "age1", key.String() + "q", strings.ToUpper(key.String()[:10]), "AGE-SECRET-KEY-1", strings.Repeat("a", 1<<20)} {
		_, err := seal.ParseKey(bad)
		require.True(t, fault.Is(err, fault.Invalid), "%.20q: %v", bad, err)
		require.Less(t, len(err.Error()), 400)
	}
}

func TestLoadMakesOneIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "key")
	keys := make([]seal.Key, 16)
	var group sync.WaitGroup
	for n := range keys {
		group.Go(func() {
			if i, err := seal.Load(path); err == nil {
				keys[n] = i.Key()
			}
		})
	}
	group.Wait()
	require.False(t, keys[0].IsZero())
	for _, k := range keys {
		require.Equal(t, keys[0], k)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 1, "temporary files were left")
}

func TestLoadRefuses(t *testing.T) {
	good := filepath.Join(t.TempDir(), "key")
	_, err := seal.Load(good)
	require.NoError(t, err)

	for name, c := range map[string]struct {
		make func(path string) error
		kind fault.Kind
	}{
		"a file that others can read": {func(path string) error { return os.WriteFile(path, nil, 0o644) }, fault.Unauthorized},
		"a link to a good key":        {func(path string) error { return os.Symlink(good, path) }, fault.Unauthorized},
		"a directory":                 {func(path string) error { return os.Mkdir(path, 0o700) }, fault.Invalid},
		"an empty file":               {func(path string) error { return os.WriteFile(path, nil, 0o600) }, fault.Invalid},
		"another text":                {func(path string) error { return os.WriteFile(path, []byte("hunter2"), 0o600) }, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			require.NoError(t, c.make(path))
			_, err := seal.Load(path)
			require.Equal(t, c.kind, fault.Of(err).Kind, "%v", err)
			require.Contains(t, err.Error(), path)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}
