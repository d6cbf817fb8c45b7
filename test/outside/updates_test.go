package outside_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/test/outside"
)

var (
	updates = flag.Int("updates", 6, "how many updates, rollbacks and restarts clients watch")
	long    = flag.Duration("long", 2*time.Second, "how long a download and an upload take")
)

// platform is a local platform with an edge, and its services.
type platform struct {
	t        *testing.T
	dir      string
	services string
	dev      *dev.Platform
	drain    time.Duration
}

func startPlatform(t *testing.T) *platform {
	t.Helper()
	dir, err := os.MkdirTemp("", "mcp-outside-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) // Postgres runs as another user
	p := &platform{t: t, dir: dir, services: filepath.Join(dir, "services"), drain: *long + 2*time.Second}
	src := filepath.Join(dir, "workspace", "src")
	require.NoError(t, os.MkdirAll(src, 0o755))
	require.NoError(t, os.MkdirAll(p.services, 0o755))
	text, err := os.ReadFile(program)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(src, "app"), text, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(src, "Containerfile"), []byte("FROM scratch\nCOPY app /app\nCMD [\"/app\"]\n"), 0o600))
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	p.dev, err = dev.Up(ctx, dev.Options{
		Unsafe: true,
		Dir:    filepath.Join(dir, "platform"), Workspace: filepath.Join(dir, "workspace"), Services: p.services,
		Programs: "../../bin", Version: "test", Unfiltered: true, Logger: quiet, SDKLogger: quiet,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		p.dev.Down()
		_, err := dev.Destroy(context.Background(), filepath.Join(dir, "platform"))
		require.NoError(t, err)
	})
	require.NotNil(t, p.dev.Info().Edge, "bin/mcp-edge is missing: make build")
	return p
}

// define writes the definition of a service of that version.
func (p *platform) define(name, version, more string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.services, name+".toml"), fmt.Appendf(nil, `name = %[1]q
node = "local"
path = "src"

[build.images]
app = "Containerfile"

[[components]]
name = "web"
image = "%[2]s/app:v1"
env = { VERSION = %[3]q }
drain = %[4]q
stop_timeout = "20s"
%[5]s

[[components.routes]]
name = "http"
port = 443
mode = "l7"
hostname = "%[1]s.localhost"
`, name, p.dev.Info().ImageRegistry, version, p.drain, more), 0o600))
}

// mcp runs a command, which must succeed, and returns its output.
func (p *platform) mcp(args ...string) []byte {
	p.t.Helper()
	var out, said bytes.Buffer
	app := &cli.App{Stdout: &out, Stderr: &said, Getenv: func(name string) string {
		if strings.HasPrefix(name, "TEMPORAL_") || strings.HasPrefix(name, "MCP_") {
			return ""
		}
		return os.Getenv(name)
	}}
	code := app.Run(p.t.Context(), append([]string{"--config", filepath.Join(p.dir, "platform", "mcp.toml")}, args...))
	require.Zero(p.t, code, "mcp %s\n%s%s", strings.Join(args, " "), &out, &said)
	return out.Bytes()
}

// commits returns when the releases of a service were committed, the last one first.
func (p *platform) commits(name string) (at []time.Time) {
	p.t.Helper()
	var history struct {
		Deployments []struct {
			Outcome  string
			Finished time.Time // of a release, when it took over
		}
	}
	require.NoError(p.t, json.Unmarshal(p.mcp("history", name, "--limit", "0", "--json"), &history))
	for _, d := range history.Deployments {
		require.Equal(p.t, "succeeded", d.Outcome)
		at = append(at, d.Finished)
	}
	return at
}

// site is where clients reach a service.
func (p *platform) site(name string) outside.Site {
	p.t.Helper()
	roots := x509.NewCertPool()
	root, err := os.ReadFile(p.dev.Info().Edge.Root)
	require.NoError(p.t, err)
	require.True(p.t, roots.AppendCertsFromPEM(root))
	_, port, _ := strings.Cut(p.dev.Info().Edge.HTTPS, ":")
	return outside.Site{URL: "https://" + name + ".localhost:" + port, Dial: p.dev.Info().Edge.HTTPS, Roots: roots}
}

// No client of a service sees that it is updated, rolled back or restarted, and none of
// another service. A connection that does not end breaks when the drain has passed, and
// not before; a hold delays the requests of a component that is stopped first.
func TestNoUpdateIsSeenFromOutside(t *testing.T) {
	p := startPlatform(t)
	p.define("shop", "v0", "")
	p.define("held", "v0", `order = "stop-first"`)
	p.define("still", "v0", "")
	for _, name := range []string{"shop", "held", "still"} {
		p.mcp("deploy", name, "--wait")
	}
	shop := outside.Watch(p.site("shop"), *long, outside.Clients()...)
	held := outside.Watch(p.site("held"), *long, outside.Fresh, outside.Kept)
	still := outside.Watch(p.site("still"), *long, outside.Clients()...)
	judges := []*outside.Judge{shop, held, still}
	defer func() {
		for _, j := range judges {
			j.Stop()
		}
	}()
	await := func(j *outside.Judge, c outside.Client, more int) {
		t.Helper()
		from := j.Report().Succeeded[c]
		require.Eventually(t, func() bool { return j.Report().Succeeded[c] >= from+more }, 2*time.Minute, 10*time.Millisecond, "%s: %v", c, j.Report().Failures)
	}
	for _, j := range judges {
		await(j, outside.Kept, 1)
	}
	await(shop, outside.Upgraded, 1)

	for i := 1; i <= *updates; i++ {
		switch i % 3 {
		case 1:
			p.define("shop", fmt.Sprintf("v%d", i), "")
			p.define("held", fmt.Sprintf("v%d", i), `order = "stop-first"`)
			p.mcp("deploy", "shop")
			p.mcp("deploy", "held")
		case 2:
			p.mcp("rollback", "shop")
			p.mcp("rollback", "held")
		case 0:
			p.mcp("restart", "shop")
			p.mcp("restart", "held")
		}
		for _, j := range judges {
			await(j, outside.Fresh, 10)
		}
	}
	await(shop, outside.Downloading, 1)
	await(shop, outside.Uploading, 1)
	commits := p.commits("shop")
	require.Len(t, commits, 1+*updates)
	for i, name := range []string{"shop", "held", "still"} {
		report := judges[i].Stop()
		t.Logf("%s: %v succeeded through %d updates; %d failed", name, report.Succeeded, *updates, len(report.Failures))
		var broken []outside.Failure
		for _, f := range report.Failures {
			if name == "shop" && f.Client == outside.Upgraded {
				broken = append(broken, f)
				continue
			}
			t.Errorf("%s: %s", name, f)
		}
		if name != "shop" {
			continue
		}
		require.NotEmpty(t, broken, "what does not end by itself")
		require.LessOrEqual(t, len(broken), *updates)
		for j, f := range broken {
			last := slices.IndexFunc(commits, f.At.After)
			lived := f.At.Sub(commits[last])
			t.Logf("connection %d of shop broke %s after the commit", j, lived)
			require.GreaterOrEqual(t, lived, p.drain, "connection %d of shop broke before its drain: %s", j, f)
		}
	}
}
