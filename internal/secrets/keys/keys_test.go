package keys_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets/keys"
)

func newKey(t *testing.T) seal.Key {
	t.Helper()
	identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	return identity.Key()
}

func TestASigningKeyIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "signing.key")
	first, err := keys.LoadSigning(path)
	require.NoError(t, err)
	second, err := keys.LoadSigning(path)
	require.NoError(t, err)
	require.Equal(t, first.Signer(), second.Signer())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	require.NoError(t, os.Chmod(path, 0o640))
	_, err = keys.LoadSigning(path)
	require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
	require.NoError(t, os.WriteFile(path, []byte("hunter2"), 0o600))
	require.NoError(t, os.Chmod(path, 0o600))
	_, err = keys.LoadSigning(path)
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.ErrorContains(t, err, path)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestPinsAreAddedToTheFileAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), keys.FileName)
	none, err := keys.ReadPins(path)
	require.NoError(t, err)
	require.Empty(t, none.Nodes)

	rift, orion, safe := newKey(t), newKey(t), newKey(t)
	require.NoError(t, keys.Pin(path, keys.TableNodes, map[string]seal.Key{"rift": rift}))
	require.NoError(t, keys.PinRecovery(path, "safe", safe))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	edited := strings.Replace(string(text), "[nodes]", "# ours\n[nodes] # all of them", 1) + "\n# the end\n"
	require.NoError(t, os.WriteFile(path, []byte(edited), 0o640))
	require.NoError(t, os.Chmod(path, 0o640))
	require.NoError(t, keys.Pin(path, keys.TableNodes, map[string]seal.Key{"orion": orion, "rift": rift}))

	text, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), fmt.Sprintf("# ours\n[nodes] # all of them\nrift = %q\norion = %q\n\n[recovery]\nsafe = %q\n", rift, orion, safe))
	require.Contains(t, string(text), "# the end")
	pins, err := keys.ReadPins(path)
	require.NoError(t, err)
	require.Equal(t, map[string]seal.Key{"rift": rift, "orion": orion}, pins.Nodes)
	require.Equal(t, safe, pins.Recoveries()[0].Key)
	require.True(t, pins.Recoveries()[0].Recovery)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
}

func TestAnotherKeyIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), keys.FileName)
	rift, other := newKey(t), newKey(t)
	require.NoError(t, keys.Pin(path, keys.TableNodes, map[string]seal.Key{"rift": rift}))
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	err = keys.Pin(path, keys.TableNodes, map[string]seal.Key{"rift": other})
	require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
	require.ErrorContains(t, err, rift.Fingerprint())
	require.ErrorContains(t, err, other.Fingerprint())
	require.Contains(t, fault.Of(err).Hint, path)
	require.NoError(t, keys.PinRecovery(path, "safe", rift))
	require.True(t, fault.Is(keys.PinRecovery(path, "safe", other), fault.Conflict))
	require.True(t, fault.Is(keys.PinRecovery(path, "not a name", other), fault.Invalid))
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(after), string(before))
	require.NotContains(t, string(after), other.String())
}

func TestEveryProcessPins(t *testing.T) {
	path := filepath.Join(t.TempDir(), keys.FileName)
	wanted := map[string]seal.Key{}
	for n := range 12 {
		wanted[fmt.Sprintf("node-%d", n)] = newKey(t)
	}
	var group sync.WaitGroup
	for name, key := range wanted {
		group.Go(func() { _ = keys.Pin(path, keys.TableNodes, map[string]seal.Key{name: key}) })
	}
	group.Wait()
	pins, err := keys.ReadPins(path)
	require.NoError(t, err)
	require.Equal(t, wanted, pins.Nodes)
}

func TestMistakesInThePinsNameTheLine(t *testing.T) {
	key := newKey(t).String()
	for name, c := range map[string]struct{ text, says string }{
		"no key":          {"[nodes]\nrift = \"age1x\"\n", ":2: nodes.rift"},
		"a private key":   {"[nodes]\n\nrift = \"AGE-SECRET-KEY-1\"\n", ":3: nodes.rift"},
		"no name":         {"[recovery]\n\"a b\" = \"" + key + "\"\n", "recovery.a b"},
		"another table":   {"[nodes]\n[edges]\nx = \"y\"\n", ":2: edges"},
		"a number":        {"[nodes]\nrift = 1\n", ":2: "},
		"no TOML":         {"[nodes\n", ":1: "},
		"a key twice":     {"[nodes]\nrift = \"" + key + "\"\nrift = \"" + key + "\"\n", "rift"},
		"a file too long": {strings.Repeat("#\n", 1<<20), "1024 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), keys.FileName)
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			_, err := keys.ReadPins(path)
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, c.says)
			require.Error(t, keys.Pin(path, keys.TableNodes, map[string]seal.Key{"orion": newKey(t)}), "nothing is added to it")
			now, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.text, string(now))
		})
	}
}
