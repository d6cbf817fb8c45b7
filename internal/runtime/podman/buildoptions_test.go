package podman_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// builds is a podman with a program to run in builds.
type builds struct {
	*podman.Engine
	socket string
	dir    string // the build context, with the program in it
}

func newBuilds(t *testing.T) *builds {
	t.Helper()
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	return &builds{Engine: podman.New(service.Socket()), socket: service.Socket(), dir: contract.BuildApp(t)}
}

func (b *builds) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(b.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// build builds a Containerfile of these lines, and returns the output.
func (b *builds) build(t *testing.T, spec runtime.BuildSpec, lines ...string) (string, error) {
	t.Helper()
	var output strings.Builder
	spec.Context, spec.Out = b.dir, &output
	spec.Containerfile = b.write(t, "Containerfile", strings.Join(lines, "\n")+"\n")
	_, err := b.Build(t.Context(), spec)
	return output.String(), err
}

// inspected is what podman says of an image.
type inspected struct {
	ID               string `json:"Id"`
	Architecture, Os string
	Config           struct {
		Env    []string
		Labels map[string]string
	}
	History []struct{ CreatedBy string }
}

func (b *builds) inspect(t *testing.T, image string) (found inspected) {
	t.Helper()
	require.NoError(t, ask(b.socket, "images/"+image+"/json", &found))
	return found
}

// saved returns the image as an archive.
func (b *builds) saved(t *testing.T, image string) []byte {
	t.Helper()
	response, err := clientOf(b.socket).Get("http://podman/v4.0.0/libpod/images/" + image + "/get?format=docker-archive")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return text
}

func TestBuildOptions(t *testing.T) {
	b := newBuilds(t)

	t.Run("args, labels and a target", func(t *testing.T) {
		output, err := b.build(t, runtime.BuildSpec{
			Tag: "localhost/args:v1", Target: "first",
			Args:   map[string]string{"VERSION": "1.2 \"quoted\""},
			Labels: map[string]string{"org.opencontainers.image.title": "a = b, c"},
		}, "FROM scratch AS first", "ARG VERSION=none", "ENV V=$VERSION", "FROM scratch AS second", "ENV V=second")
		require.NoError(t, err)
		require.NotContains(t, output, "second")
		image := b.inspect(t, "localhost/args:v1")
		require.Contains(t, image.Config.Env, `V=1.2 "quoted"`)
		require.Equal(t, "a = b, c", image.Config.Labels["org.opencontainers.image.title"])
	})

	t.Run("a target that does not exist is Invalid", func(t *testing.T) {
		_, err := b.build(t, runtime.BuildSpec{Tag: "localhost/args:v2", Target: "nope"}, "FROM scratch AS first", "ENV A=b")
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, err)
		require.ErrorContains(t, err, "nope")
	})

	t.Run("a secret is readable in a RUN, and nowhere afterwards", func(t *testing.T) {
		const hush = "canary-5e1f0c"
		spec := runtime.BuildSpec{Tag: "localhost/secret:v1", Secrets: map[string][]byte{"token": []byte(hush + "\n")}}
		output, err := b.build(t, spec, "FROM scratch", "COPY . /",
			`RUN --mount=type=secret,id=token ["/app", "cat", "/run/secrets/token"]`)
		require.NoError(t, err)
		require.Contains(t, output, "[secret]")
		require.NotContains(t, output, hush)
		require.NotContains(t, string(b.saved(t, "localhost/secret:v1")), hush)
		require.NotContains(t, string(b.saved(t, "localhost/secret:v1")), "mcp-build-")

		_, err = b.build(t, spec, "FROM scratch", "COPY . /",
			`RUN --mount=type=secret,id=token ["/app", "cat", "/run/secrets/token"]`, `RUN ["/app", "exit", "3"]`)
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, err)
		text, _ := json.Marshal(fault.Of(err))
		require.NotContains(t, string(text), hush)
		require.Contains(t, string(text), "[secret]")
	})

	t.Run("named contexts are a directory and an image", func(t *testing.T) {
		lib := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(lib, "sub"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(lib, "sub", "lib.txt"), []byte("of the library"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(lib, "left-out.txt"), []byte("left out"), 0o600))
		_, err := b.build(t, runtime.BuildSpec{Tag: "localhost/base:v1"}, "FROM scratch", "COPY app /from-base")
		require.NoError(t, err)
		_, err = b.build(t, runtime.BuildSpec{Tag: "localhost/contexts:v1", Contexts: map[string]runtime.BuildContext{
			"lib":  {Dir: lib, Only: func(path string) bool { return path != "left-out.txt" }},
			"base": {Image: "localhost/base:v1"},
		}}, "FROM scratch", "COPY --from=lib . /lib", "COPY --from=base /from-base /from-base")
		require.NoError(t, err)
		text := string(b.saved(t, "localhost/contexts:v1"))
		require.Contains(t, text, "lib/sub/lib.txt")
		require.Contains(t, text, "from-base")
		require.NotContains(t, text, "left-out")
		var images []struct{ Names []string }
		require.NoError(t, ask(b.socket, "images/json", &images))
		for _, image := range images {
			require.NotContains(t, strings.Join(image.Names, " "), "mcp-build-", "what only the build needed is gone")
		}
	})

	t.Run("only the files that are part of the build are sent", func(t *testing.T) {
		b.write(t, "kept/a.txt", "a")
		b.write(t, "ignored/b.txt", "b")
		_, err := b.build(t, runtime.BuildSpec{Tag: "localhost/only:v1", Only: func(path string) bool {
			return path == "Containerfile" || strings.HasPrefix(path, "kept")
		}}, "FROM scratch", "COPY . /")
		require.NoError(t, err)
		text := string(b.saved(t, "localhost/only:v1"))
		require.Contains(t, text, "kept/a.txt")
		require.NotContains(t, text, "ignored")
	})

	t.Run("without the cache every step runs", func(t *testing.T) {
		lines := []string{"FROM scratch", "COPY app /app", `RUN ["/app", "exit", "0"]`}
		_, err := b.build(t, runtime.BuildSpec{Tag: "localhost/cached:v1"}, lines...)
		require.NoError(t, err)
		output, err := b.build(t, runtime.BuildSpec{Tag: "localhost/cached:v1"}, lines...)
		require.NoError(t, err)
		require.Contains(t, output, "Using cache")
		output, err = b.build(t, runtime.BuildSpec{Tag: "localhost/cached:v1", NoCache: true}, lines...)
		require.NoError(t, err)
		require.NotContains(t, output, "Using cache")
	})
}

func TestPlatforms(t *testing.T) {
	b := newBuilds(t)
	images := startImageRegistry(t)

	t.Run("one foreign platform", func(t *testing.T) {
		_, err := b.build(t, runtime.BuildSpec{Tag: "localhost/arm:v1", Platforms: []string{"linux/arm64"}}, "FROM scratch", "ARG TARGETARCH", "COPY app /app-$TARGETARCH")
		require.NoError(t, err)
		image := b.inspect(t, "localhost/arm:v1")
		require.Equal(t, "arm64", image.Architecture)
		require.Contains(t, string(b.saved(t, "localhost/arm:v1")), "app-arm64")
	})

	t.Run("several make a list, again and again", func(t *testing.T) {
		tag := images.Address() + "/both:v1"
		lib := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(lib, "lib.txt"), []byte("x"), 0o600))
		for range 2 {
			_, err := b.build(t, runtime.BuildSpec{
				Tag: tag, Platforms: []string{"linux/amd64", "linux/arm64"},
				Contexts: map[string]runtime.BuildContext{"lib": {Dir: lib}},
			}, "FROM scratch", "ARG TARGETARCH", "COPY app /app-$TARGETARCH", "COPY --from=lib lib.txt /lib.txt")
			require.NoError(t, err)
			require.NoError(t, b.Push(t.Context(), runtime.PushSpec{Image: tag, Insecure: true, Platforms: []string{"linux/amd64", "linux/arm64"}}))
			require.Equal(t, []string{"amd64", "arm64"}, architectures(t, images.Address(), "both", "v1"))
		}
		digest := digestOf(t, tag)
		_, name, _ := strings.Cut(tag, "/")
		pinned := images.Address() + "/" + strings.Split(name, ":")[0] + "@" + digest
		require.Len(t, b.names(t, tag), 2)
		require.NoError(t, b.RemoveImage(t.Context(), tag))
		require.Empty(t, b.names(t, tag))
		require.NoError(t, b.Pull(t.Context(), runtime.PullSpec{Image: pinned, Insecure: true}))
		exists, err := b.ImageExists(t.Context(), pinned)
		require.NoError(t, err)
		require.True(t, exists, "the digest of the list is that of the image here")
		_, err = b.build(t, runtime.BuildSpec{Tag: tag}, "FROM scratch", "COPY app /app")
		require.NoError(t, err, "the same tag, now for one platform")
		require.NoError(t, b.Push(t.Context(), runtime.PushSpec{Image: tag, Insecure: true}))
		require.Empty(t, architectures(t, images.Address(), "both", "v1"))
	})

	t.Run("the images for several platforms are pruned together", func(t *testing.T) {
		const tag = "localhost/pruned:v1"
		_, err := b.build(t, runtime.BuildSpec{Tag: tag, Platforms: []string{"linux/amd64", "linux/arm64"}}, "FROM scratch", "COPY app /app")
		require.NoError(t, err)
		pruned, err := b.PruneImage(t.Context(), tag)
		require.NoError(t, err)
		require.True(t, pruned)
		require.Empty(t, b.names(t, tag))
	})
}

// names returns the names of images that begin with a tag.
func (b *builds) names(t *testing.T, tag string) (found []string) {
	t.Helper()
	var images []struct{ Names []string }
	require.NoError(t, ask(b.socket, "images/json", &images))
	for _, image := range images {
		for _, name := range image.Names {
			if strings.HasPrefix(name, tag) {
				found = append(found, name)
			}
		}
	}
	return found
}

// architectures returns those of a list of images in an image registry, and none of one
// image.
func architectures(t *testing.T, registry, repository, tag string) []string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+registry+"/v2/"+repository+"/manifests/"+tag, nil)
	require.NoError(t, err)
	for _, kind := range []string{
		"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
	} {
		request.Header.Add("Accept", kind)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var list struct {
		Manifests []struct{ Platform struct{ Architecture string } }
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&list))
	var found []string
	for _, m := range list.Manifests {
		found = append(found, m.Platform.Architecture)
	}
	return found
}

func TestACacheInAnImageRegistry(t *testing.T) {
	images := startImageRegistry(t)
	cache := images.Address() + "/cache"
	lines := []string{"FROM scratch", "COPY app /app", `RUN ["/app", "exit", "0"]`}
	first := newBuilds(t)
	output, err := first.build(t, runtime.BuildSpec{Tag: "localhost/x:v1", CacheTo: []string{cache}, CacheFrom: []string{cache}, Insecure: true}, lines...)
	require.NoError(t, err)
	require.Contains(t, output, "Pushing cache")

	second := newBuilds(t) // with a storage of its own
	second.dir = first.dir
	output, err = second.build(t, runtime.BuildSpec{Tag: "localhost/x:v1", CacheFrom: []string{cache}, Insecure: true}, lines...)
	require.NoError(t, err)
	require.Contains(t, output, "Cache pulled", output)

	_, err = second.build(t, runtime.BuildSpec{Tag: "localhost/x:v1", CacheFrom: []string{cache, cache + "2"}, Insecure: true}, lines...)
	require.Equal(t, fault.Invalid, fault.Of(err).Kind, "podman 4.3 takes one")
	require.ErrorContains(t, err, "podman 4.3")
}
