package apps_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/examples/images"
	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/dev"
)

// updates is how often each application is updated: more often in a soak.
var updates = flag.Int("updates", 1, "how often each application is updated and rolled back")

// shared is used by all tests of this package.
var shared struct {
	dir      string
	platform *dev.Platform
	node     *node
}

func TestMain(m *testing.M) {
	if os.Getenv(mcpVariable) != "" {
		os.Exit(cli.Main(nil))
	}
	flag.Parse()
	// All applications side by side, on few processors too: they wait more than they work.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code, err := runOnPlatform(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "apps:", err)
		code = 1
	}
	os.Exit(code)
}

// runOnPlatform runs the tests on a platform and a node of their own.
func runOnPlatform(m *testing.M) (code int, err error) {
	// A definition of mcp in the environment is a developer's.
	for _, variable := range []string{"MCP_CONFIG", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_PROFILE"} {
		_ = os.Unsetenv(variable)
	}
	shared.dir, err = os.MkdirTemp("", "mcp-apps-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(shared.dir) }()
	if err := os.Chmod(shared.dir, 0o755); err != nil { // Postgres runs as another user
		return 1, err
	}
	services := filepath.Join(shared.dir, "services")
	if err := os.Mkdir(services, 0o755); err != nil {
		return 1, err
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	dir := filepath.Join(shared.dir, "platform")
	start := time.Now()
	shared.platform, err = dev.Up(ctx, dev.Options{
		Unsafe: true,
		Dir:    dir, Workspace: shared.dir, Services: services, Programs: "../../bin", Version: "test", Logger: quiet, SDKLogger: quiet,
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		shared.platform.Down()
		_, destroyErr := dev.Destroy(context.Background(), dir)
		err = errors.Join(err, destroyErr)
	}()
	if shared.platform.Info().Edge == nil {
		return 1, errors.New("bin/mcp-edge is missing: make build")
	}
	maker, err := images.NewMaker(os.Stdout)
	if err != nil {
		return 1, err
	}
	var starting errgroup.Group
	starting.Go(func() error { return maker.Push(ctx, shared.platform.Info().ImageRegistry) })
	starting.Go(func() (err error) { shared.node, err = newNode(ctx); return err })
	err = starting.Wait()
	if shared.node != nil {
		defer func() { err = errors.Join(err, shared.node.remove()) }()
	}
	if err != nil {
		return 1, err
	}
	fmt.Printf("platform, node and images after %s\n", time.Since(start).Round(time.Millisecond))
	return m.Run(), nil
}
