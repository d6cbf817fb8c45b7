package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func TestARollbackToAnImageThatTheNodeHasNeedsNoImageRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	registry := w.newFaultyRegistry(nil)
	for _, version := range []string{"v1", "v2"} {
		w.source(version, "")
		w.define("kept", w.service("kept", version, ""))
		w.deploy("kept")
	}
	registry.goAway()
	t.Cleanup(registry.comeBack)
	result := w.change(workflows.Succeeded, "rollback", "kept")
	require.Equal(t, "v1", w.fetch(result.Components[0].Ports["http"]))
	require.Zero(t, w.summary(result.WorkflowID).scheduled["ImageExists"])
	result = w.change(workflows.Succeeded, "rollback", "kept")
	require.Equal(t, "v2", w.fetch(result.Components[0].Ports["http"]))
}

func TestARollbackToAnImageThatIsGoneChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ownSource("v1")
	w.define("vanished", w.service("vanished", "v1", ""))
	digest := w.deploy("vanished").Components[0].Digest
	w.ownSource("v2")
	w.define("vanished", w.service("vanished", "v2", ""))
	port := w.deploy("vanished").Components[0].Ports["http"]
	w.deleteManifest("vanished", digest)
	local := podman.New(shared.platform.Info().Podman)
	for _, name := range []string{w.image("vanished", "v1"), servicedef.ByDigest(w.image("vanished", "v1"), digest)} {
		_, err := local.PruneImage(t.Context(), name)
		require.NoError(t, err, "the node, which is the builder, has it no more")
	}
	before := w.containers("vanished")

	r := w.mcp("rollback", "vanished", "--json")
	require.Equal(t, 1, r.code, r)
	var result workflows.Result
	r.decode(t, &result)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, "image "+w.registry+"/vanished@"+digest+" of release 1 is gone from the image registry", result.Error.Message)
	require.Contains(t, result.Error.Hint, "mcp history vanished")
	require.False(t, w.summary(result.WorkflowID).touched())
	require.Equal(t, before, w.containers("vanished"))
	require.Equal(t, 2, w.status("vanished").Release)
	require.Equal(t, "v2", w.fetch(port))
}

// deleteManifest deletes an image from the image registry.
func (w *world) deleteManifest(name, digest string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodDelete, "http://"+w.registry+"/v2/"+name+"/manifests/"+digest, nil)
	require.NoError(w.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(w.t, err)
	defer response.Body.Close()
	require.Equal(w.t, http.StatusAccepted, response.StatusCode)
}

var full = flag.Bool("full", false, "deploy a service of a hundred components instead of a dozen")

func TestAServiceOfManyComponents(t *testing.T) {
	t.Parallel()
	n := 12
	if *full {
		n = 100
	}
	w := newWorld(t)
	for _, version := range []string{"v1", "v2"} {
		w.source(version, "")
		w.define("many", w.many("many", n, version))
		result := w.deploy("many")
		require.Len(t, result.Components, n)
		for _, c := range result.Components {
			require.Equal(t, version, w.fetch(c.Ports["http"]))
		}
		require.Less(t, w.summary(result.WorkflowID).largest, 512<<10, "Temporal warns of payloads from here on")
	}
	require.Equal(t, workflows.Unchanged, w.deploy("many").Outcome)
	w.define("many", "active = false\n"+w.many("many", n, "v2"))
	require.Equal(t, workflows.Succeeded, w.deploy("many").Outcome)

	w.define("many", w.many("many", 201, "v2"))
	refused := w.mcp("deploy", "many")
	require.Equal(t, 2, refused.code, refused)
	require.Contains(t, refused.stderr, "has 201 components; the limit is 200")
}

// many is a definition of n components of one image.
func (w *world) many(name string, n int, version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name = %q\nnode = %q\npath = \"src\"\n[build.images]\n%s = \"Containerfile\"\n", name, w.node, name)
	for i := range n {
		fmt.Fprintf(&b, "[[components]]\nname = \"c%04d\"\nimage = %q\n[[components.routes]]\nname = \"http\"\nport = %d\n", i, w.image(name, version), 10000+i)
	}
	return b.String()
}

// TestALogOfFiftyMegabytesStaysOnTheBuilder prints it in a step of a build, in lines
// and without a line end.
func TestALogOfFiftyMegabytesStaysOnTheBuilder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	logs := filepath.Join(w.dir, "logs")
	w.configure(
		fmt.Sprintf("services = %q", w.services),
		"[temporal]", fmt.Sprintf("address = %q", shared.platform.Info().Temporal()), encryptionKeys(),
		"[build]", fmt.Sprintf("builder = %q", w.builder),
		fmt.Sprintf("socket = %q", shared.platform.Info().Podman), fmt.Sprintf("logs = %q", logs),
		"[image_registry]", fmt.Sprintf("insecure = [%q]", w.registry),
	)
	builder := w.worker("--builder", w.builder, "--workspace", w.workspace)
	build := func(version string, step ...string) (r reply, result workflows.BuildResult) {
		w.source(version, `RUN ["/app", "`+strings.Join(step, `", "`)+`"]`)
		w.define("wordy", w.service("wordy", version, ""))
		r = w.mcp("build", "wordy", "--json")
		r.decode(t, &result)
		return r, result
	}
	short, _ := build("short", "print", "1", "0")
	require.Zero(t, short.code, short)
	before := builder.peak()

	long, result := build("long", "print", "50", "0")
	require.Zero(t, long.code)
	requireLog(t, result.Images[0].LogFile)
	for _, verb := range []string{"print", "stream"} {
		failed, result := build("failed-"+verb, verb, "50", "3")
		require.Equal(t, 1, failed.code)
		require.Equal(t, fault.Invalid, result.Error.Kind)
		require.NotEmpty(t, result.Error.Log)
		require.Less(t, len(failed.stdout), 64<<10, "the tail alone travels")
		summary := w.summary(result.WorkflowID)
		require.Equal(t, 1, summary.attempts["Build"], summary.failures["Build"])
		require.Less(t, summary.size, 256<<10)
		require.Contains(t, result.Error.Hint, "read the whole log: mcp build log wordy wordy")
		kept, err := filepath.Glob(filepath.Join(logs, "*.log"))
		require.NoError(t, err)
		requireLog(t, slices.Max(kept)) // its name has the time
	}
	require.Less(t, builder.peak()-before, 48<<20, "of three such logs the builder never holds one")
}

// requireLog requires a whole log in a file.
func requireLog(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(50<<20), "the whole log is kept")
}

// peak is the peak memory of the process, in bytes.
func (p *process) peak() int {
	p.w.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(p.w.t, err)
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int
	_, err = fmt.Sscan(text, &kilobytes)
	require.NoError(p.w.t, err)
	return kilobytes << 10
}
