package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows"
)

// TestTheLargestServiceTravels deploys a service whose definition has nearly its largest
// size, and whose secrets have exactly theirs, for a component and for a step. More is
// refused before anything starts.
func TestTheLargestServiceTravels(t *testing.T) {
	t.Parallel()
	t.Run("encrypted", func(t *testing.T) { sealing(t).travels("largest") })
	t.Run("plain", func(t *testing.T) {
		w := newWorld(t)
		w.alone(fmt.Sprintf("sources = %q", w.workspace))
		config, err := os.ReadFile(w.config())
		require.NoError(t, err)
		own := strings.Replace(string(config), encryptionKeys(), "", 1)
		w.configure(own, "[secrets]", fmt.Sprintf("signing_key = %q", filepath.Join(w.dir, "signing.key")))
		var signer struct{ Line string }
		w.mcp("secret", "signer", "--json").decode(t, &signer)
		w.configure(strings.Replace(own, "[node]", "[node]\n"+signer.Line, 1), "[secrets]", fmt.Sprintf("signing_key = %q", filepath.Join(w.dir, "signing.key")))
		w.worker("--control")
		w.worker("--node", w.node)
		w.worker("--builder", w.builder, "--workspace", w.workspace)
		w.travels("largest-plain")
	})
}

func (w *world) travels(name string) {
	t := w.t
	t.Helper()
	w.source("v1", "")
	const sealed = `secrets = ["one", "two", "three"]`
	definition := func(files int, more string) string {
		text := sealed + "\n"
		for i := range files {
			text += fmt.Sprintf("[[components.files]]\ntarget = \"/etc/large-%d\"\nsource = \"large-%d\"\n", i, i)
		}
		return w.service(name, "v1", text) + more + "\n[[steps]]\nname = \"prepare\"\ncomponent = \"app\"\ncmd = [\"/app\", \"say\", \"prepared\", \"0\"]\n" + sealed + "\n"
	}
	// A definition has 768 KiB with its files, of which this leaves 2 for the rest of it.
	for i, size := range []int{255, 255, 256} {
		require.NoError(t, os.WriteFile(filepath.Join(w.workspace, "src", fmt.Sprintf("large-%d", i)), []byte(strings.Repeat("x", size<<10)), 0o600))
	}
	w.define(name, definition(3, ""))
	value := strings.Repeat("x", secrets.MaxValue)
	for _, secret := range []string{"one", "two"} {
		w.set(name+"/"+secret, value)
	}
	const fits = 250 << 10
	w.set(name+"/three", value[:fits])
	all, err := strconv.Atoi(w.sql(`select sum((octet_length(sealed) + 2) / 3 * 4 + octet_length(recipients::text) + 512)
		from secret_versions where service = '` + name + `'`))
	require.NoError(t, err)
	rest := fits + (fleet.MaxSealed-all)/4*3 // three bytes of a value are four of its text
	large := filepath.Join(w.dir, "large")
	require.NoError(t, os.WriteFile(large, []byte(value[:rest+3]), 0o600))
	r := w.mcp("secret", "set", name+"/three", "--file", large)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "the secrets of "+name+" would have 1025 KiB together, sealed: at most 1024 can travel to a node")
	w.set(name+"/three", value[:rest])

	result := w.deploy(name)
	t.Cleanup(func() { w.mcp("undeploy", name, "-y") })
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, "v1", w.fetch(result.Components[0].Ports["http"]))

	// Another component that gets one of them is one too many.
	w.define(name, definition(0, fmt.Sprintf("\n[[components]]\nname = \"other\"\nimage = %q\nsecrets = [\"one\"]\n", w.image(name, "v1"))))
	for _, verb := range []string{"plan", "deploy"} {
		r = w.mcp(verb, name)
		require.Equal(t, 1, r.code, r)
		require.Contains(t, r.stderr, "the components of "+name+" get 1367 KiB of sealed secrets")
		require.Contains(t, r.stderr, "the largest are one (343 KiB, for app and other)")
		require.Contains(t, r.stderr, "have a component name only the secrets that it needs")
	}
	require.Equal(t, "v1", w.fetch(result.Components[0].Ports["http"]))
}
