package podman_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

func TestErrorsOfABuild(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	for name, test := range map[string]struct{ line, want string }{
		"a missing file named timeout":          {"COPY conf/timeout.ini /x", `STEP 2/2: COPY conf/timeout.ini /x: find "conf/timeout.ini" in the build context: no such file or directory`},
		"a missing file named denied":           {"COPY denied /x", `STEP 2/2: COPY denied /x: find "denied" in the build context: no such file or directory`},
		"a missing file named like an outage":   {`COPY ["a: connection refused: EOF", "/x"]`, `STEP 2/2: COPY ["a: connection refused: EOF", "/x"]: find "a: connection refused: EOF" in the build context: no such file or directory`},
		"a missing file named like a full disk": {`COPY ["a: no space left on device", "/x"]`, `STEP 2/2: COPY ["a: no space left on device", "/x"]: find "a: no space left on device" in the build context: no such file or directory`},
		"a here-document":                       {"COPY <<EOF /etc/motd\nhello\nEOF", `STEP 2/4: COPY <<EOF /etc/motd: find "<<EOF" in the build context: no such file or directory`},
		"an owner named denied":                 {"COPY --chown=timeout:denied Containerfile /x", `STEP 2/2: COPY --chown=timeout:denied Containerfile /x: looking up UID/GID for "timeout:denied": determining run uid: user: unknown user error looking up user "timeout"`},
		"an archive that is cut off":            {"ADD cut.tar.gz /x/", "STEP 2/2: ADD cut.tar.gz /x/: 3 errors occurred:\n\t* reading \"cut.tar.gz\": copier: get: \"/cut.tar.gz\": extracting content from archive /cut.tar.gz: file: unexpected EOF"},
		"an unknown instruction":                {"COPPY a b", `STEP 2/2: COPPY a b: unknown instruction: "COPPY"`},
		"a missing file":                        {"COPY src/missing /x", `STEP 2/2: COPY src/missing /x: find "src/missing" in the build context: no such file or directory`},
		"a pattern without a match":             {"COPY missing* /x", `STEP 2/2: COPY missing* /x: find "missing*" in the build context: no such file or directory`},
		"a missing stage":                       {"COPY --from=nope a /x", `STEP 2/2: COPY --from=nope a /x: COPY --from=nope: no stage or image found with that name`},
		"a step that reads as an outage":        {`RUN ["/connection refused", "EOF"]`, `STEP 2/2: RUN ["/connection refused", "EOF"]: while running runtime: exit status 1`},
		"a file that cannot be parsed":          {"ENV a", `parsing main Dockerfile: Containerfile: ENV must have two arguments`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "Containerfile")
			require.NoError(t, os.WriteFile(file, []byte("FROM scratch\n"+test.line+"\n"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "cut.tar.gz"), cutArchive(t), 0o600))
			_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/x:v1", Context: dir, Containerfile: file})
			found := fault.Of(err)
			require.Equal(t, fault.Invalid, found.Kind)
			first, _, _ := strings.Cut(found.Message, "\n\t* closing")
			require.Equal(t, "build localhost/x:v1: "+test.want, first)
			require.NotContains(t, strings.Join(found.Log, "\n"), "imagebuilder")
		})
	}
}

// cutArchive returns the first half of a compressed archive.
func cutArchive(t *testing.T) []byte {
	t.Helper()
	content := make([]byte, 64<<10)
	_, _ = rand.Read(content)
	var text bytes.Buffer
	compressed := gzip.NewWriter(&text)
	archive := tar.NewWriter(compressed)
	require.NoError(t, archive.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(content))}))
	_, err := archive.Write(content)
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	require.NoError(t, compressed.Close())
	return text.Bytes()[:text.Len()/2]
}

// The test kills the helper that runs a step, as happens in podman now and then.
func TestABuildWhoseHelperIsKilledIsRepeated(t *testing.T) {
	dir := t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	for name, times := range map[string]int{"once": 1, "always": 3} {
		t.Run(name, func(t *testing.T) {
			sources := t.TempDir()
			file := filepath.Join(sources, "Containerfile")
			text := fmt.Sprintf("FROM localhost/app:v1\nRUN [\"/app\", \"sleep\", \"3s\", %q]\n", name) // not cached
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			var output strings.Builder
			built := make(chan error, 1)
			go func() {
				_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/helped:" + name, Context: sources, Containerfile: file, Out: &output})
				built <- err
			}()
			killed := map[int]bool{}
			require.Eventually(t, func() bool {
				for _, pid := range helpersOf(service.PID()) {
					if !killed[pid] && len(killed) < times {
						killed[pid] = true
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				}
				return len(killed) == times
			}, time.Minute, 20*time.Millisecond)
			err := <-built
			if times == 1 {
				require.NoError(t, err, output.String())
				return
			}
			require.Equal(t, fault.Invalid, fault.Of(err).Kind)
			require.ErrorContains(t, err, "signal: killed")
		})
	}
}

// Podman searches all images for a cached step, and fails on one whose layer is
// gone, as when a prune or another build is removing that image.
func TestABuildThatMeetsARemovalIsRepeated(t *testing.T) {
	dir, sources := t.TempDir(), t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	file := filepath.Join(sources, "Containerfile")
	build := func(tag, content string, output io.Writer) error {
		require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY Containerfile /"+content+"\n"), 0o600))
		_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: tag, Context: sources, Containerfile: file, Out: output})
		return err
	}
	const half = "localhost/half:v1"
	require.NoError(t, build(half, "half", nil))
	require.NoError(t, syscall.Kill(service.PID(), syscall.SIGKILL))
	<-service.Done()
	rewrite(t, filepath.Join(dir, "root", "*-layers", "*layers.json"), func(entry) bool { return false })
	service = startPodman(t, dir)
	engine = podman.New(service.Socket())

	tries := 0
	counting := eachLine(func(line string) {
		if strings.HasPrefix(line, "STEP 1/") {
			tries++
		}
	})
	err := build("localhost/whole:v1", "whole", counting)
	require.Equal(t, fault.Unavailable, fault.Of(err).Kind)
	require.ErrorContains(t, err, "layer not known")
	require.Equal(t, 3, tries)

	tries = 0
	err = build("localhost/whole:v1", "whole", eachLine(func(line string) {
		if counting(line); tries == 2 {
			assert.NoError(t, engine.RemoveImage(t.Context(), half))
		}
	}))
	require.NoError(t, err)
	require.Greater(t, tries, 1)
}

// eachLine is a writer that calls the function with each line.
type eachLine func(line string)

func (f eachLine) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		f(line)
	}
	return len(p), nil
}

// helpersOf returns podman's processes that run a step of a build.
func helpersOf(service int) []int {
	var pids []int
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", service))
	for _, path := range children {
		text, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(text)) {
			name, _ := os.ReadFile("/proc/" + field + "/cmdline")
			if pid, err := strconv.Atoi(field); err == nil && strings.Contains(string(name), "oci-runtime") {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
