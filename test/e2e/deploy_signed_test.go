package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/signing"
	"github.com/metacircular/mcp/workflows"
)

// A node with require_signature runs what its builder has built and signed, rolls back to
// it by its digest, and refuses what others have put into the image registry.
func TestANodeRunsSignedImagesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	private, public, err := signing.Generate([]byte("open"))
	require.NoError(t, err)
	key, pub, passphrase := filepath.Join(w.dir, "cosign.key"), filepath.Join(w.dir, "cosign.pub"), filepath.Join(w.dir, "passphrase")
	for path, text := range map[string][]byte{key: private, pub: public, passphrase: []byte("open\n")} {
		require.NoError(t, os.WriteFile(path, text, 0o600))
	}
	w.alone(
		fmt.Sprintf("signing_key_file = %q", key), fmt.Sprintf("signing_passphrase_file = %q", passphrase),
		"[image_registry.require_signature]", fmt.Sprintf("%q = [%q]", w.registry, pub),
	)
	w.worker("--control", "--listen", "off")
	w.worker("--node", w.node, "--listen", "off")
	w.worker("--builder", w.builder, "--workspace", w.workspace, "--listen", "off")
	name := w.node + "-signed"
	for _, version := range []string{"v1", "v2"} {
		w.source(version, "")
		w.define(name, w.service(name, version, ""))
		result := w.deploy(name)
		require.True(t, result.Components[0].Built)
		require.Equal(t, version, w.fetch(result.Components[0].Ports["http"]))
	}
	t.Cleanup(func() { w.mcp("undeploy", name, "-y") })

	// Someone who may write to the image registry puts an image of another name there, and
	// replaces the newest tag.
	theirs, logins := name+"-theirs", filepath.Join(w.dir, "logins.json")
	require.NoError(t, os.WriteFile(logins, []byte("{}"), 0o600))
	for _, image := range []string{w.image(theirs, "v1"), w.image(name, "v3")} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Containerfile"), []byte("FROM "+w.image(name, "v2")+"\nLABEL theirs=yes\n"), 0o600))
		w.podman("build", "--quiet", "--tag", image, dir)
		w.podman("push", "--quiet", "--authfile", logins, "--tls-verify=false", image)
	}
	w.define(name, w.service(name, "v3", ""))
	refused := func(reason string) {
		t.Helper()
		r := w.mcp("deploy", name, "--json")
		require.Equal(t, 1, r.code, r)
		var result workflows.Result
		r.decode(t, &result)
		require.Equal(t, fault.Invalid, result.Error.Kind, r)
		require.Equal(t, w.node, result.Error.Node)
		require.Contains(t, result.Error.Message, "image "+w.registry+"/"+name+"@sha256:")
		require.Contains(t, result.Error.Message, "image registry "+w.registry+" requires a signature by the key "+pub+": "+reason)
		require.Contains(t, result.Error.Hint, "mcp build sign "+w.registry+"/"+name+"@sha256:")
		require.Equal(t, "v2", w.fetch(w.routePort(name)), "the release runs")
	}
	refused("it has no signature")
	foreign := w.mcp("build", "sign", w.image(name, "v3"), "--config", w.foreignSigner(key))
	require.Zero(t, foreign.code, foreign)
	refused("its signature is by another key")

	rolled := w.mcp("rollback", name, "--to", "1", "--wait", "--json")
	require.Zero(t, rolled.code, rolled)
	require.Equal(t, "v1", w.fetch(w.routePort(name)))

	signed := w.mcp("build", "sign", w.image(name, "v3"))
	require.Zero(t, signed.code, signed)
	require.Equal(t, workflows.Succeeded, w.deploy(name).Outcome, "its operator has signed it")
}

// foreignSigner returns a copy of the configuration that signs with another key than the one
// in that file.
func (w *world) foreignSigner(key string) string {
	w.t.Helper()
	private, _, err := signing.Generate([]byte("open"))
	require.NoError(w.t, err)
	theirs := filepath.Join(w.dir, "theirs.key")
	require.NoError(w.t, os.WriteFile(theirs, private, 0o600))
	text, err := os.ReadFile(w.config())
	require.NoError(w.t, err)
	require.Contains(w.t, string(text), strconv.Quote(key))
	config := filepath.Join(w.dir, "theirs.toml")
	require.NoError(w.t, os.WriteFile(config, []byte(strings.ReplaceAll(string(text), strconv.Quote(key), strconv.Quote(theirs))), 0o600))
	return config
}
