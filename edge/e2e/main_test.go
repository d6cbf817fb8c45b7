// Package e2e runs mcp-edge beside a real local platform, as processes: they are
// stopped, killed, cut off and replaced.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shared is used by all tests of this package.
var shared struct {
	dir       string // of the platform's folder
	mcp, edge string // the programs
	temporal  string // its address
	registry  string // the image registry's
	podman    string // its socket
	keys      string // its file of encryption keys
}

func TestMain(m *testing.M) {
	code, err := runOnPlatform(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// runOnPlatform runs the tests on a platform of their own, which has no edge.
func runOnPlatform(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "mcp-edge-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil { // Postgres runs as another user
		return 1, err
	}
	shared.dir = dir
	if err := programs(); err != nil {
		return 1, err
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "MCP_") || strings.HasPrefix(name, "TEMPORAL_") {
			_ = os.Unsetenv(name)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "services"), 0o755); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	up := exec.CommandContext(ctx, shared.mcp, "dev", "--detach", "--workspace", dir, "--services", filepath.Join(dir, "services"))
	up.Dir = dir
	if out, err := up.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("start the platform: %w\n%s", err, out)
	}
	defer func() {
		down := exec.Command(shared.mcp, "dev", "down", "--destroy")
		down.Dir = dir
		if out, downErr := down.CombinedOutput(); downErr != nil {
			code, err = 1, fmt.Errorf("end the platform: %w\n%s", downErr, out)
		}
	}()
	if err := readInfo(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// programs builds mcp, mcp-edge and the test service. The edge is not beside mcp, which
// would start it.
func programs() error {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		return err
	}
	shared.mcp, shared.edge = filepath.Join(shared.dir, "bin", "mcp"), filepath.Join(shared.dir, "mcp-edge")
	for _, build := range []struct{ dir, out, of string }{
		{"../..", shared.mcp, "./cmd/mcp"},
		{"..", shared.edge, "./cmd/mcp-edge"},
		{".", filepath.Join(shared.dir, "app", "app"), "./testdata/app"},
	} {
		cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", build.out, build.of)
		cmd.Dir = build.dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // the test service is alone in its image
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", build.of, err, out)
		}
	}
	for _, name := range []string{"temporal", "registry"} {
		if err := os.Symlink(filepath.Join(bin, name), filepath.Join(shared.dir, "bin", name)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(shared.dir, "app", "Containerfile"), []byte("FROM scratch\nCOPY app /app\nENTRYPOINT [\"/app\"]\n"), 0o644)
}

// command runs mcp and returns its exit code and what it printed.
func command(t *testing.T, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute) // also where the test ends
	defer cancel()
	cmd := exec.CommandContext(ctx, shared.mcp, args...)
	cmd.Dir = shared.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// mcp runs mcp, which must succeed, and returns what it printed.
func mcp(t *testing.T, args ...string) string {
	t.Helper()
	code, out := command(t, args...)
	require.Zero(t, code, "mcp %s\n%s", strings.Join(args, " "), out)
	return out
}
