package activities_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// workshop is a builder with an engine in memory.
type workshop struct {
	*activities.Builder
	engine *runtime.Fake
	env    *testsuite.TestActivityEnvironment
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{engine: runtime.NewFake()}
	w.Builder = &activities.Builder{
		Name: "orion", Runtime: w.engine, Workspace: t.TempDir(), Logs: filepath.Join(t.TempDir(), "logs"),
		Insecure: func(string) bool { return true },
	}
	w.env = newActivities(context.Background(), w.Builder)
	return w
}

func (w *workshop) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.Workspace, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func (w *workshop) build(path, containerfile string) (activities.BuildResult, *fault.Error) {
	var result activities.BuildResult
	value, err := w.env.ExecuteActivity(w.Build, activities.BuildInput{
		Service: "shop", Image: "registry.test:5000/api:v1", Path: path, Build: servicedef.ImageBuild{Containerfile: containerfile},
	})
	if err == nil {
		err = value.Get(&result)
	}
	return result, activities.FaultOf(err)
}

func TestBuildKeepsItsWholeLog(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/Containerfile", "FROM scratch\nCMD [\"/app\"]\n")
	result, f := w.build("shop", "Containerfile")
	require.Nil(t, f)
	require.Equal(t, "orion", result.Builder)
	log, err := os.ReadFile(result.LogFile)
	require.NoError(t, err)
	require.Contains(t, string(log), "STEP 1")
	require.Nil(t, activities.FaultOf(push(w)))
}

func TestBuildLogsArePruned(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/Containerfile", "FROM scratch\n")
	require.NoError(t, os.MkdirAll(w.Logs, 0o700))
	for i := range 30 {
		name := fmt.Sprintf("shop@api@20260101T0000%02d.000000.log", i)
		require.NoError(t, os.WriteFile(filepath.Join(w.Logs, name), nil, 0o600))
	}
	_, f := w.build("shop", "Containerfile")
	require.Nil(t, f)
	left, err := os.ReadDir(w.Logs)
	require.NoError(t, err)
	require.Len(t, left, 20)
	require.Equal(t, "shop@api@20260101T000011.000000.log", left[0].Name())
}

func push(w *workshop) error {
	_, err := w.env.ExecuteActivity(w.Push, activities.PushInput{Image: "registry.test:5000/api:v1"})
	return err
}

func TestBuildRefusesPathsOutsideTheWorkspace(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/Containerfile", "FROM scratch\n")
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "Containerfile"), []byte("FROM scratch\n"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(w.Workspace, "linked")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "Containerfile"), filepath.Join(w.Workspace, "shop", "Linkfile")))

	tests := map[string]struct{ path, containerfile, want string }{
		"a directory that does not exist":      {"none", "Containerfile", "source directory of service shop"},
		"a directory outside":                  {"..", "Containerfile", "is outside"},
		"a link that leads outside":            {"linked", "Containerfile", "is outside"},
		"a Containerfile that does not exist":  {"shop", "Containerfile.api", "Containerfile of registry.test:5000/api:v1"},
		"a Containerfile that leads elsewhere": {"shop", "Linkfile", "is outside"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, f := w.build(test.path, test.containerfile)
			require.NotNil(t, f)
			require.Equal(t, fault.Invalid, f.Kind)
			require.Contains(t, f.Message, test.want)
			require.NotEmpty(t, f.Hint)
		})
	}
	require.Empty(t, w.engine.Calls(), "the engine was not asked")
}

// The ignore file of a Containerfile belongs to the name that the definition gives.
func TestBuildPassesOnTheNameOfALink(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/docker/common", "FROM scratch\n")
	require.NoError(t, os.Symlink("docker/common", filepath.Join(w.Workspace, "shop", "Containerfile")))
	require.NoError(t, os.Symlink("shop", filepath.Join(w.Workspace, "linked")))
	engine := &specs{Fake: w.engine}
	w.Runtime = engine
	_, f := w.build("linked", "Containerfile")
	require.Nil(t, f)
	require.Equal(t, filepath.Join(w.Workspace, "shop"), engine.last.Context)
	require.Equal(t, filepath.Join(w.Workspace, "shop", "Containerfile"), engine.last.Containerfile)
}

// specs keeps the spec of the last build.
type specs struct {
	*runtime.Fake
	last runtime.BuildSpec
}

func (s *specs) Build(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	s.last = spec
	return s.Fake.Build(ctx, spec)
}

func TestUntagMayRunTwice(t *testing.T) {
	w := newWorkshop(t)
	w.engine.AddImages("registry.test:5000/api:v1")
	for range 2 {
		_, err := w.env.ExecuteActivity(w.Untag, activities.PushInput{Image: "registry.test:5000/api:v1"})
		require.NoError(t, err)
	}
	require.Equal(t, fault.NotFound, activities.FaultOf(push(w)).Kind)
}
