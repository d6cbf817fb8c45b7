package contract

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Rig is an engine under test with its surroundings.
type Rig struct {
	Runtime runtime.Runtime
	// Registry is the address of an empty image registry that speaks plain http.
	Registry string
	// Digest returns the manifest digest of a tag in that image registry.
	Digest func(t *testing.T, image string) string
	// SetDown stops the engine's service, or starts it again.
	SetDown func(down bool)
	// AddSecret adds a secret to the engine.
	AddSecret func(name string)
	// Leftovers returns the names of containers that List does not show; nil if
	// the engine has none. It may fail while the engine cleans up.
	Leftovers func() ([]string, error)
	// Reachable reports whether published ports accept connections.
	Reachable bool
}

// Test runs the contract against one engine.
func Test(t *testing.T, start func(t *testing.T) Rig) {
	s := &suite{Rig: start(t), context: BuildApp(t)}
	s.image = s.Registry + "/contract/app:v1"
	_, err := s.Runtime.Build(t.Context(), s.build(t, s.image, `CMD ["/app", "serve"]`))
	require.NoError(t, err)

	t.Run("Build", s.testBuild)
	t.Run("Images", s.testImages)
	t.Run("Prune", s.testPrune)
	t.Run("Run", s.testRun)
	t.Run("Refused", s.testRefused)
	t.Run("Lifecycle", s.testLifecycle)
	t.Run("Observe", s.testObserve)
	t.Run("Networks", s.testNetworks)
	t.Run("Secrets", s.testSecrets)
	t.Run("Down", s.testDown)
}

// suite is the state that the tests of one engine share.
type suite struct {
	Rig
	context string // a build context that contains the test program
	image   string // built before all tests and not pushed
}

// BuildApp returns a new build context that has the test program as "app".
func BuildApp(t *testing.T) string {
	t.Helper()
	program, err := app()
	require.NoError(t, err)
	return contextOf(t, program)
}

// BuildForeignApp returns one that has the test program for another architecture.
func BuildForeignApp(t *testing.T, arch string) string {
	t.Helper()
	program, err := compileFor(arch)
	require.NoError(t, err)
	return contextOf(t, program)
}

func contextOf(t *testing.T, program []byte) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app"), program, 0o755))
	return dir
}

// app is the test program, which is compiled once for all tests of a package.
var app = sync.OnceValues(func() ([]byte, error) { return compileFor(goruntime.GOARCH) })

func compileFor(arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "mcp-testapp-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	compile := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "app"),
		"github.com/metacircular/mcp/internal/runtime/contract/testapp")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if output, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the test program: %w\n%s", err, output)
	}
	return os.ReadFile(filepath.Join(dir, "app"))
}

// build returns the spec of an image with the program at /app and the given
// additional lines in its Containerfile.
func (s *suite) build(t *testing.T, tag string, lines ...string) runtime.BuildSpec {
	t.Helper()
	text := "FROM scratch\nCOPY app /app\n"
	for _, line := range lines {
		text += line + "\n"
	}
	file := filepath.Join(t.TempDir(), "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return runtime.BuildSpec{Tag: tag, Context: s.context, Containerfile: file}
}

// spec returns the spec of a container of the suite's image. The container of
// that name is removed at the end of the test.
func (s *suite) spec(t *testing.T, name string, command ...string) runtime.ContainerSpec {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, s.Runtime.Remove(context.WithoutCancel(t.Context()), name)) })
	return runtime.ContainerSpec{
		Name: name, Image: s.image, Command: command, Restart: "no",
		Env:    map[string]string{"PORT": "8080"},
		Labels: labels("1", "a"),
	}
}

func labels(deployment, spec string) map[string]string {
	return map[string]string{
		runtime.LabelService: "contract", runtime.LabelComponent: "app",
		runtime.LabelDeployment: deployment, runtime.LabelSpec: spec,
	}
}

// run runs a container and requires it to start.
func (s *suite) run(t *testing.T, spec runtime.ContainerSpec) string {
	t.Helper()
	id, err := s.Runtime.Run(t.Context(), spec)
	require.NoError(t, err)
	require.NotEmpty(t, id)
	return id
}

func (s *suite) inspect(t *testing.T, name string) runtime.ContainerInfo {
	t.Helper()
	info, err := s.Runtime.Inspect(t.Context(), name)
	require.NoError(t, err)
	return info
}

// awaitStopped waits until a container has exited.
func (s *suite) awaitStopped(t *testing.T, name string) runtime.ContainerInfo {
	t.Helper()
	require.Eventually(t, func() bool {
		info, err := s.Runtime.Inspect(t.Context(), name)
		return err == nil && info.State == runtime.Stopped
	}, time.Minute, 20*time.Millisecond)
	return s.inspect(t, name)
}

func requireKind(t *testing.T, kind fault.Kind, err error) *fault.Error {
	t.Helper()
	require.Error(t, err)
	require.True(t, fault.Is(err, kind), "want %s, got %s: %v", kind, fault.Of(err).Kind, err)
	return fault.Of(err)
}

// freePort returns a host port on which no program listens, below the range from
// which the kernel takes the source ports of connections.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			require.NoError(t, listener.Close())
			return port
		}
	}
	t.Fatal("no free port in a hundred attempts")
	return 0
}
