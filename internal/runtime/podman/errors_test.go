package podman_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// answering returns an engine that gives one answer to every request.
func answering(t *testing.T, status int, body any) *podman.Engine {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	return podman.New(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Libpod-API-Version", "4.3.1")
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(text)
	})))
}

// The names are those of the build-error-word and pull-error-word kinds: each
// contains what an error of another kind consists of.
const (
	hostileImage = "127.0.0.1:5000/denied/timeout:fix-timeout"
	hostileFile  = "/lib/a: i/o timeout: denied: EOF"
)

func TestTheKindOfAnErrorDoesNotDependOnNames(t *testing.T) {
	pull := func(e *podman.Engine) error {
		return e.Pull(t.Context(), runtime.PullSpec{Image: hostileImage, Progress: func(string) {}})
	}
	push := func(e *podman.Engine) error {
		return e.Push(t.Context(), runtime.PushSpec{Image: hostileImage, Progress: func(string) {}})
	}
	build := func(e *podman.Engine) error {
		dir := t.TempDir()
		file := filepath.Join(dir, "Containerfile")
		require.NoError(t, os.WriteFile(file, []byte("FROM scratch\n"), 0o600))
		_, err := e.Build(t.Context(), runtime.BuildSpec{Tag: hostileImage, Context: dir, Containerfile: file})
		return err
	}
	const layer = `writing blob: adding layer with blob "sha256:9711": `
	for _, c := range []struct {
		name string
		do   func(*podman.Engine) error
		text string
		kind fault.Kind
	}{
		{"a full disk at a file", pull, layer + "processing tar file(write /lib/async_timeout.bin: no space left on device): exit status 1", fault.DiskFull},
		{"a full disk at a file named denied", pull, layer + "processing tar file(open /lib/access_denied.bin: no space left on device): exit status 1", fault.DiskFull},
		{"a full disk at podman's own file", pull, layer + "write /x/overlay-layers/.tmp-layers.json66: no space left on device", fault.DiskFull},
		{"a quota", pull, layer + "processing tar file(write /blob: disk quota exceeded): exit status 1", fault.DiskFull},
		{"a layer that cannot be unpacked", pull, layer + "processing tar file(open " + hostileFile + ": permission denied): exit status 1", fault.Internal},
		{"a layer's file named after a full disk", pull, layer + "processing tar file(open /no space left on device: file exists): exit status 1", fault.Internal},
		{"an unknown error", push, "writing blob of " + hostileImage + ": something else", fault.Internal},
		{"an unknown error that names a tag", push, "reading manifest timeout in 127.0.0.1:5000/denied/x: something else", fault.Internal},
		{"a refused connection", push, `writing blob: pinging container registry 127.0.0.1:5000: Get "https://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused`, fault.Unavailable},
		{"a deadline of the client", pull, `initializing source docker://` + hostileImage + `: Get "https://127.0.0.1:5000/v2/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`, fault.Unavailable},
		{"a missing tag", pull, "initializing source docker://" + hostileImage + ": reading manifest fix-timeout in 127.0.0.1:5000/denied/timeout: manifest unknown: manifest unknown", fault.NotFound},
		{"an authorization", pull, "initializing source docker://" + hostileImage + ": reading manifest v1 in 127.0.0.1:5000/a: unauthorized: authentication required", fault.Unauthorized},
		{"a refused push", push, "trying to reuse blob sha256:97: checking whether a blob exists: requested access to the resource is denied", fault.Unauthorized},
		{"a status", push, "writing blob: uploading layer: received unexpected HTTP status: 503 Service Unavailable", fault.Unavailable},
		{"a status with a reason", pull, "fetching blob: invalid status code from registry 404 (Not Found)", fault.NotFound},
		{"another architecture", pull, `choosing an image from manifest list docker://` + hostileImage + `: no image found in manifest list for architecture amd64, variant "", OS linux`, fault.Invalid},

		{"a missing file", build, `building at STEP "COPY conf/timeout.ini /x": checking on sources under "/var/tmp/libpod_builder1/build": copier: stat: "/conf/timeout.ini": no such file or directory`, fault.Invalid},
		{"a file that cannot be read", build, `building at STEP "COPY . /x": copier: get: open ` + hostileFile + `: permission denied`, fault.Invalid},
		{"a RUN", build, `building at STEP "RUN curl: (28) connect: i/o timeout": while running runtime: exit status 1`, fault.Invalid},
		{"a full disk of a COPY", build, `building at STEP "COPY denied /timeout": 3 errors occurred:` + "\n\t* reading \"/denied\": broken pipe\n\t* storing \"/denied\": copier: put: error writing file \"/denied\": write /denied: no space left on device\n\n\n", fault.DiskFull},
		{"a full disk of a FROM", build, `creating build container: ` + layer + "processing tar file(write /denied: no space left on device): exit status 1", fault.DiskFull},
		{"a step named after a full disk", build, `building at STEP "RUN echo : no space left on device": while running runtime: exit status 1`, fault.Invalid},
		{"a base image's registry that is away", build, `creating build container: initializing source docker://127.0.0.1:5000/denied/x:v1: pinging container registry 127.0.0.1:5000: Get "https://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused`, fault.Unavailable},
		{"a base image that needs a login", build, `creating build container: initializing source docker://127.0.0.1:5000/timeout:v1: reading manifest v1 in 127.0.0.1:5000/timeout: unauthorized: authentication required`, fault.Unauthorized},
		{"a base image that does not exist", build, `creating build container: initializing source docker://127.0.0.1:5000/timeout:denied: reading manifest denied in 127.0.0.1:5000/timeout: manifest unknown: manifest unknown`, fault.Invalid},
		{"a URL that is away", build, `building at STEP "ADD http://127.0.0.1:1/denied /a": reading "http://127.0.0.1:1/denied": Get "http://127.0.0.1:1/denied": dial tcp 127.0.0.1:1: connect: connection refused`, fault.Unavailable},
		{"a URL that fails", build, `building at STEP "ADD http://127.0.0.1:1/x /a": reading "http://127.0.0.1:1/x": invalid response status 503`, fault.Unavailable},
		{"a URL that breaks off", build, `building at STEP "ADD http://127.0.0.1:1/x /a": 2 errors occurred:` + "\n\t* reading \"http://127.0.0.1:1/x\": writing content from \"http://127.0.0.1:1/x\" to tar stream: unexpected EOF\n\t* storing \"http://127.0.0.1:1/x\": unexpected EOF\n\n\n", fault.Unavailable},
		{"a URL without a file named timeout", build, `building at STEP "ADD http://127.0.0.1:1/timeout /a": reading "http://127.0.0.1:1/timeout": invalid response status 404`, fault.Invalid},
		{"an archive that is cut off", build, `building at STEP "ADD data.tar.gz /a/": 3 errors occurred:` + "\n\t* reading \"/data.tar.gz\": copier: get: \"/data.tar.gz\": extracting content from archive /data.tar.gz: f: unexpected EOF\n\n\n", fault.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			engine := answering(t, http.StatusOK, map[string]any{"error": c.text, "errorDetail": map[string]string{"message": c.text}})
			found := fault.Of(c.do(engine))
			require.Equal(t, c.kind, found.Kind, found.Message)
			require.Equal(t, c.kind == fault.DiskFull, strings.Contains(found.Hint, "mcp node show"), found.Hint)
		})
	}
}

func TestTheKindOfAnEngineErrorIsItsCause(t *testing.T) {
	for _, c := range []struct {
		name, message, cause string
		status               int
		kind                 fault.Kind
	}{
		{"a full disk", "write /x/libpod/bolt_state.db: no space left on device", "no space left on device", 500, fault.DiskFull},
		{"a full disk that is not the last cause", "mounting /denied: mkdir /image not known: no space left on device", "no space left on device", 500, fault.DiskFull},
		{"an id out of range", "uids and gids must be in range 0-2147483647", "uids and gids must be in range 0-2147483647", 500, fault.Invalid},
		{"another architecture", "crun: exec container process `/app`: Exec format error: OCI runtime error", "OCI runtime error", 500, fault.Invalid},
		{"a missing command", `runc: runc create failed: unable to start container process: exec: "/x": stat /x: no such file or directory: OCI runtime attempted to invoke a command that was not found`, "OCI runtime attempted to invoke a command that was not found", 500, fault.Invalid},
		{"names that are causes", "mounting /image not known/no such container of statfs.address already in use: something else", "something else", 500, fault.Internal},
		{"a quoted name that is a cause", `mounting "/x: image not known: y": something else`, "something else", 500, fault.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			engine := answering(t, c.status, map[string]any{"message": c.message, "cause": c.cause, "response": c.status})
			for _, err := range []error{
				func() error { _, err := engine.Inspect(t.Context(), "timeout"); return err }(),
				engine.Rename(t.Context(), "timeout-x", "denied"),
			} {
				require.Equal(t, c.kind, fault.Of(err).Kind, err)
			}
		})
	}
}

// A COPY --from gives no reason for which podman did not find the image.
func TestABuildThatCopiesFromAnImageWhoseRegistryIsAway(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	dir := t.TempDir()
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY --from=127.0.0.1:1/denied/app:v1 /a /a\n"), 0o600))
	_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/x:v1", Context: dir, Containerfile: file})
	require.Equal(t, fault.Unavailable, fault.Of(err).Kind, err)
}

// The disk of this podman has 24 MB, and the file in the image 40 MB.
func TestAFullDiskIsAKindOfItsOwn(t *testing.T) {
	images := startImageRegistry(t)
	full := tmpfs(t, "24m")
	large, small := startPodman(t, t.TempDir()), startPodman(t, full)
	t.Cleanup(func() { require.NoError(t, large.Destroy()) })
	t.Cleanup(func() { require.NoError(t, small.Destroy()) })
	source, engine := podman.New(large.Socket()), podman.New(small.Socket())
	for _, name := range []string{"async_timeout.bin", "access_denied.bin"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "Containerfile")
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), make([]byte, 40<<20), 0o600))
		require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY "+name+" /lib/"+name+"\n"), 0o600))
		image := images.Address() + "/fat:" + strings.ReplaceAll(name, "_", "-")
		build := func(e *podman.Engine) error {
			_, err := e.Build(t.Context(), runtime.BuildSpec{Tag: image, Context: dir, Containerfile: file})
			return err
		}
		require.NoError(t, build(source))
		require.NoError(t, source.Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true}))
		for doing, err := range map[string]error{
			"build": build(engine),
			"pull":  engine.Pull(t.Context(), runtime.PullSpec{Image: image, Insecure: true}),
		} {
			require.Equal(t, fault.DiskFull, fault.Of(err).Kind, "%s: %v", doing, err)
			require.Contains(t, fault.Of(err).Hint, "mcp node show", doing)
		}
	}

	buildApp(t, source)
	const app = "localhost/app:v1"
	exported := images.Address() + "/app:v1"
	require.NoError(t, tag(t, large.Socket(), app, exported))
	require.NoError(t, source.Push(t.Context(), runtime.PushSpec{Image: exported, Insecure: true}))
	disk := tmpfs(t, "24m") // podman need not free the first one, whose disk was full
	another := startPodman(t, disk)
	t.Cleanup(func() { require.NoError(t, another.Destroy()) })
	engine = podman.New(another.Socket())
	require.NoError(t, engine.Pull(t.Context(), runtime.PullSpec{Image: exported, Insecure: true}))
	fill(t, filepath.Join(disk, "filler"))
	_, err := engine.Run(t.Context(), runtime.ContainerSpec{Name: "full", Image: exported})
	require.Equal(t, fault.DiskFull, fault.Of(err).Kind, err)
}

// tmpfs mounts a file system of that size on a new directory.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// fill writes a file until its disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for err = nil; err == nil; _, err = file.Write(make([]byte, size)) {
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
}

// tag gives an image another name.
func tag(t *testing.T, socket, image, name string) error {
	t.Helper()
	repository, version, _ := strings.Cut(name, ":v")
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"http://podman/v4.0.0/libpod/images/"+image+"/tag?repo="+repository+"&tag=v"+version, nil)
	require.NoError(t, err)
	response, err := clientOf(socket).Do(request)
	if err == nil {
		err = response.Body.Close()
	}
	return err
}
