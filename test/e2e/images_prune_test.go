package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func TestOldImagesArePrunedAfterARelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	private, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: t.TempDir(), Private: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, private.Destroy()) })
	builder, node := private.Socket(), shared.platform.Info().Podman
	w.buildOn(builder)

	digests := make([]string, 8) // by version
	deploy := func(v int) {
		version := fmt.Sprint("v", v)
		w.source(version, "")
		w.define("old", w.service("old", version, ""))
		result := w.deploy("old")
		require.True(t, result.Components[0].Built)
		digests[v] = servicedef.ByDigest(w.image("old", version), result.Components[0].Digest)
	}
	deploy(1)
	w.foreignImages(node, builder)
	for v := 2; v <= 7; v++ {
		deploy(v)
	}
	w.replays("pruned", workflows.DeployID("old"))
	theirs := []string{"localhost/theirs/unused:v1", w.image("old", "v1")}
	require.ElementsMatch(t, slices.Concat(digests[3:], theirs), names(t, node))
	require.ElementsMatch(t, append(w.tags("v3", "v4", "v5", "v6", "v7"), "localhost/theirs/unused:v1", "localhost/theirs/of-old:v1"), names(t, builder))

	back := func(v int) {
		rolled := w.mcp("rollback", "old", "--to", fmt.Sprint(v), "--wait", "--json")
		require.Zero(t, rolled.code, rolled)
		var result workflows.Result
		rolled.decode(t, &result)
		require.Equal(t, fmt.Sprint("v", v), w.fetch(result.Components[0].Ports["http"]))
	}
	back(3)
	require.Equal(t, 1, pulls(t, node, digests[3]), "one of the last five is still here")
	require.Contains(t, names(t, node), digests[3])
	back(2)
	require.Equal(t, 2, pulls(t, node, digests[2]), "an older one is pulled again")
	require.NotContains(t, names(t, node), digests[4], "it is beyond the last five now")
	require.Subset(t, names(t, node), theirs)
}

// tags are the references of versions of the service.
func (w *world) tags(versions ...string) []string {
	var tags []string
	for _, version := range versions {
		tags = append(tags, w.image("old", version))
	}
	return tags
}

// foreignImages gives both podmans images that the registry does not have: another name
// of the service's first image, and an image that no container uses.
func (w *world) foreignImages(node, builder string) {
	w.t.Helper()
	w.build(builder, "localhost/theirs/of-old:v1")
	require.NoError(w.t, podman.New(node).Pull(w.t.Context(), runtime.PullSpec{Image: w.image("old", "v1"), Insecure: true}))
	w.source("theirs", "")
	w.build(builder, "localhost/theirs/unused:v1")
	w.build(node, "localhost/theirs/unused:v1")
}

// build builds the source without mcp.
func (w *world) build(socket, tag string) {
	w.t.Helper()
	src := filepath.Join(w.workspace, "src")
	_, err := podman.New(socket).Build(w.t.Context(), runtime.BuildSpec{
		Tag: tag, Context: src, Containerfile: filepath.Join(src, "Containerfile"),
	})
	require.NoError(w.t, err)
}

// names are the names of this test's images in a podman.
func names(t *testing.T, socket string) []string {
	t.Helper()
	var images []struct{ Names []string }
	require.NoError(t, json.Unmarshal(askPodman(t, socket, "images/json", nil), &images))
	var found []string
	for _, image := range images {
		for _, name := range image.Names {
			if strings.Contains(name, "/old:") || strings.Contains(name, "/old@") || strings.HasPrefix(name, "localhost/theirs/") {
				found = append(found, name)
			}
		}
	}
	return found
}

// pulls is how often a podman has pulled an image.
func pulls(t *testing.T, socket, image string) int {
	t.Helper()
	events := askPodman(t, socket, "events", url.Values{"stream": {"false"}, "filters": {`{"event":["pull"]}`}})
	return bytes.Count(events, []byte(`"`+image+`"`))
}

// askPodman sends a request to podman's API.
func askPodman(t *testing.T, socket, question string, query url.Values) []byte {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix://"))
		},
	}}
	response, err := client.Get("http://podman/v4.0.0/libpod/" + question + "?" + query.Encode())
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer
}
