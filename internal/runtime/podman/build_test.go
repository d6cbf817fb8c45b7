package podman_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
