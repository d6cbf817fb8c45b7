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

// keeps has a service keep as many versions of a secret as it may, of which no release names
// most, and reads them. One more is refused.
func (w *world) keeps(name string) {
	t := w.t
	t.Helper()
	const signer = len("ed25519:") + 43
	most := fleet.MaxKept/(signer+64+len(w.node)+3) + 1
	w.sql(fmt.Sprintf(`
		insert into secret_versions (service, name, version, recipients, sealed, signer, signature, mark, who, from_host)
		select service, name, n, recipients, 'x', signer, signature, 'x', who, from_host from secret_versions, generate_series(2, %d) n
		where (service, name, version) = ('%[2]s', 'one', 1);
		update secrets set newest = %[1]d where (service, name) = ('%[2]s', 'one')`, most, name))
	value := filepath.Join(w.dir, "value")
	require.NoError(t, os.WriteFile(value, []byte(strings.Repeat("x", secrets.MaxValue)), 0o600))
	r := w.mcp("secret", "set", name+"/one", "--file", value)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "versions of secrets would be kept for "+name+": a deploy would read 513 KiB about them, and reads 512 at most")
	require.Contains(t, r.stderr, "mcp secret rm "+name+"/NAME")
	const fewer = 20
	w.sql(fmt.Sprintf("delete from secret_versions where (service, name) = ('%s', 'one') and version between 2 and %d", name, fewer+1))
	w.set(name+"/one", strings.Repeat("x", secrets.MaxValue))
	r = w.mcp("secret", "show", name+"/one", "--json")
	require.Zero(t, r.code, r)
	var shown struct{ Versions []struct{ Version int } }
	r.decode(t, &shown)
	require.Len(t, shown.Versions, most+1-fewer)
	require.Equal(t, most+1, shown.Versions[0].Version)
	r = w.mcp("plan", name)
	require.Zero(t, r.code, r)
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
	w.keeps(name)
	all, err := strconv.Atoi(w.sql(`select sum((octet_length(sealed) + 2) / 3 * 4 + octet_length(recipients::text) + 512)
		from secret_versions v join secrets s using (service, name) where service = '` + name + `' and version = newest`))
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
	require.Equal(t, "3", w.sql("select count(*) from secret_versions where service = '"+name+"'"), "the others went with the deploy")

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
