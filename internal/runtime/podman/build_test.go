package podman_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

func TestWhatABuildSaysOfMistakes(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	for name, test := range map[string]struct{ line, want string }{
		"an instruction that does not exist": {"COPPY a b", `STEP 2/2: COPPY a b: unknown instruction: "COPPY"`},
		"a file that is not there":           {"COPY src/missing /x", `STEP 2/2: COPY src/missing /x: find "src/missing" in the build context: no such file or directory`},
		"files that are not there":           {"COPY missing* /x", `STEP 2/2: COPY missing* /x: find "missing*" in the build context: no such file or directory`},
		"a stage that is not there":          {"COPY --from=nope a /x", `STEP 2/2: COPY --from=nope a /x: COPY --from=nope: no stage or image found with that name`},
		"a step that sounds like an outage":  {`RUN ["/connection refused", "EOF"]`, `STEP 2/2: RUN ["/connection refused", "EOF"]: while running runtime: exit status 1`},
		"a file that no step can be read of": {"ENV a", `parsing main Dockerfile: Containerfile: ENV must have two arguments`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "Containerfile")
			require.NoError(t, os.WriteFile(file, []byte("FROM scratch\n"+test.line+"\n"), 0o600))
			_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/x:v1", Context: dir, Containerfile: file})
			found := fault.Of(err)
			require.Equal(t, fault.Invalid, found.Kind)
			require.Equal(t, "build localhost/x:v1: "+test.want, found.Message)
			require.NotContains(t, strings.Join(found.Log, "\n"), "imagebuilder")
		})
	}
}

// The helper that runs a step is killed, as podman itself has it killed now and
// then: the build is made again.
func TestABuildWhoseHelperIsKilledIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	for name, times := range map[string]int{"once": 1, "always": 3} {
		t.Run(name, func(t *testing.T) {
			sources := t.TempDir()
			file := filepath.Join(sources, "Containerfile")
			text := fmt.Sprintf("FROM localhost/app:v1\nRUN [\"/app\", \"sleep\", \"3s\", %q]\n", name) // no cached step
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

// helpersOf are the processes of podman's that run a step of a build.
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
