package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/test/printed"
)

// outcome is what one command left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

// mcp runs one command in this process, in an environment of pairs alone.
func mcp(ctx context.Context, t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	var stdout, stderr printed.Text
	app := &cli.App{Stdout: &stdout, Stderr: &stderr, Getenv: func(name string) string { return env[name] }}
	code := app.Run(ctx, args)
	return outcome{code, stdout.String(), stderr.String()}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), into), text)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestVersion(t *testing.T) {
	t.Chdir(t.TempDir())
	plain := mcp(t.Context(), t, nil, "version")
	require.Zero(t, plain.code)
	require.Regexp(t, `^mcp \S+, built with go`, plain.stdout)

	var object map[string]string
	decode(t, mcp(t.Context(), t, nil, "version", "--json").stdout, &object)
	require.NotEmpty(t, object["mcp"])
	require.NotEmpty(t, object["go"])
}

func definition(name, component string) string {
	return `name = "` + name + `"
node = "rift"
active = true
[[components]]
name = "` + component + `"
image = "registry.example:5000/x:v1"
`
}

func TestServiceCheck(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	env := map[string]string{"MCP_SERVICES": filepath.Join(dir, "services")}
	good := write(t, filepath.Join(dir, "services", "shop.toml"), definition("shop", "api"))
	broken := write(t, filepath.Join(dir, "broken.toml"), definition("broken", "api")+"imagge = 1\nmemory = \"lots\"\n")

	t.Run("says OK of a sound file", func(t *testing.T) {
		got := mcp(t.Context(), t, env, "service", "check", good)
		require.Zero(t, got.code, got)
		require.Equal(t, "OK "+good+": service shop on rift, components [api]\n", got.stdout)
	})

	t.Run("reports every problem of a file with its line and key, and exits 2", func(t *testing.T) {
		got := mcp(t.Context(), t, env, "service", "check", good, broken)
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stdout, "OK "+good)
		require.Contains(t, got.stdout, broken+":7: components[0].imagge: unknown key")
		require.Contains(t, got.stdout, broken+":8: components[0].memory: ")
	})

	t.Run("gives a list as JSON", func(t *testing.T) {
		got := mcp(t.Context(), t, env, "service", "check", "--json", good, broken)
		require.Equal(t, 2, got.code)
		var list []struct {
			File, Service string
			OK            bool
			Problems      []struct {
				Line int
				Key  string
			}
		}
		decode(t, got.stdout, &list)
		require.Len(t, list, 2)
		require.True(t, list[0].OK)
		require.NotNil(t, list[0].Problems)
		require.Equal(t, "shop", list[0].Service)
		require.False(t, list[1].OK)
		require.Equal(t, 7, list[1].Problems[0].Line)
	})

	t.Run("finds containers that collide with those of the services directory", func(t *testing.T) {
		file := write(t, filepath.Join(dir, "new.toml"), definition("shop-api", "shop-api"))
		got := mcp(t.Context(), t, env, "service", "check", file)
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stdout, file+":5: components[0].name: ")
		require.Contains(t, got.stdout, "shop-api")
	})

	t.Run("takes a file for the new version of the service of its name", func(t *testing.T) {
		file := write(t, filepath.Join(dir, "next", "shop.toml"), definition("shop", "api"))
		got := mcp(t.Context(), t, env, "service", "check", file)
		require.Zero(t, got.code, got.stdout)
	})

	t.Run("finds two files of one service", func(t *testing.T) {
		file := write(t, filepath.Join(dir, "twin.toml"), definition("shop", "web"))
		got := mcp(t.Context(), t, env, "service", "check", good, file)
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stdout, file+": name: "+good+" defines service shop too")
	})

	t.Run("checks the services directory without a file", func(t *testing.T) {
		got := mcp(t.Context(), t, env, "service", "check")
		require.Zero(t, got.code)
		require.Contains(t, got.stdout, "OK "+good)
		require.Equal(t, 2, mcp(t.Context(), t, nil, "service", "check").code)
	})

	t.Run("names a file that is not there", func(t *testing.T) {
		got := mcp(t.Context(), t, env, "service", "check", "nothing.toml")
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stdout, "nothing.toml: ")
	})
}

func TestMigrate(t *testing.T) {
	t.Chdir(t.TempDir())

	t.Run("says from which version to which", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o755))
		postgres, err := parts.StartPostgres(t.Context(), parts.PostgresOptions{Unsafe: true, Dir: dir})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, postgres.Destroy()) })
		env := map[string]string{"MCP_POSTGRES_URL": postgres.URL()}

		first := mcp(t.Context(), t, env, "migrate", "--json")
		require.Zero(t, first.code, first.stderr)
		var versions struct{ From, To int }
		decode(t, first.stdout, &versions)
		require.Zero(t, versions.From)
		require.Positive(t, versions.To)

		again := mcp(t.Context(), t, env, "migrate")
		require.Zero(t, again.code)
		require.Contains(t, again.stdout, "already")
	})

	t.Run("exits 2 when it does not know where Postgres is", func(t *testing.T) {
		got := mcp(t.Context(), t, nil, "migrate")
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stderr, "MCP_POSTGRES_URL")
	})

	t.Run("exits 4 when Postgres does not answer, and prints no password", func(t *testing.T) {
		port, err := parts.FreePort()
		require.NoError(t, err)
		got := mcp(t.Context(), t, map[string]string{"MCP_POSTGRES_URL": fmt.Sprintf("postgres://mcp:hunter2@127.0.0.1:%d/mcp", port)}, "migrate")
		require.Equal(t, 4, got.code)
		require.NotContains(t, got.stderr, "hunter2")
	})
}

func TestWorkerUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"no role", nil, "no role"},
		{"a control worker without Postgres", []string{"--control"}, "MCP_POSTGRES_URL"},
		{"a builder without a workspace", []string{"--builder", "ci"}, "--workspace"},
		{"a builder without its workspace", []string{"--builder", "ci", "--workspace", "/nowhere"}, "--workspace: there is no directory /nowhere"},
		{"a bad name", []string{"--node", "Rift!"}, "node.name"},
		{"a bad address", []string{"--node", "rift", "--publish", "rift"}, "node.publish"},
		{"a strange log", []string{"--node", "rift", "--log-format", "xml"}, "--log-format"},
		{"an argument", []string{"rift"}, "unknown command"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := mcp(t.Context(), t, nil, append([]string{"worker"}, test.args...)...)
			require.Equal(t, 2, got.code, got.stderr)
			require.Contains(t, got.stderr, test.want)
		})
	}
}

func TestWorkerWaits(t *testing.T) {
	temporalProgram := filepath.Join(programs(t), "temporal")
	t.Chdir(t.TempDir())
	port, err := parts.FreePort()
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	ctx, stop := context.WithCancel(t.Context())
	var stderr printed.Text
	app := &cli.App{Stdout: &printed.Text{}, Stderr: &stderr, Getenv: func(name string) string {
		return map[string]string{"TEMPORAL_ADDRESS": address}[name]
	}}
	ended := make(chan int, 1)
	go func() { ended <- app.Run(ctx, []string{"worker", "--node", "rift", "--log-format", "json"}) }()
	says := func(text string) {
		t.Helper()
		if !assert.Eventually(t, func() bool { return strings.Contains(stderr.String(), text) }, time.Minute, 20*time.Millisecond) {
			t.Fatalf("the worker does not say %q, but:\n%s", text, stderr.String())
		}
	}
	says(`"msg":"waiting","for":"Temporal","address":"` + address)

	temporal, err := parts.StartTemporal(t.Context(), parts.TemporalOptions{Unsafe: true, Dir: t.TempDir(), Binary: temporalProgram, Port: port})
	require.NoError(t, err)
	t.Cleanup(temporal.Stop)
	says(`claim node rift: no control worker has answered yet`)
	require.NotContains(t, stderr.String(), "worker ready", "the name may be another's")
	stop()
	require.Zero(t, <-ended)
}

func TestDev(t *testing.T) {
	t.Setenv("PATH", programs(t)+":"+os.Getenv("PATH"))
	home := t.TempDir()
	t.Chdir(home)
	require.NoError(t, os.Chmod(home, 0o755))

	t.Run("down says that there is nothing to end", func(t *testing.T) {
		for _, args := range [][]string{{"dev", "down", "--destroy"}, {"dev", "down", "--dir", "elsewhere"}} {
			got := mcp(t.Context(), t, nil, args...)
			require.Equal(t, 1, got.code)
			require.Contains(t, got.stderr, "there is no platform")
			require.NotContains(t, got.stdout+got.stderr, "gone")
		}
	})

	t.Run("a bad flag is a usage error", func(t *testing.T) {
		require.Equal(t, 2, mcp(t.Context(), t, nil, "dev", "--registry-port", "many").code)
		require.Equal(t, 2, mcp(t.Context(), t, nil, "dev", "--publish", "rift").code)
		for _, flag := range []string{"--workspace", "--services", "--podman-socket"} {
			got := mcp(t.Context(), t, nil, "dev", flag, "/nowhere")
			require.Equal(t, 2, got.code)
			require.Contains(t, got.stderr, flag+": there is no ")
			require.Contains(t, got.stderr, "/nowhere")
		}
		require.NoDirExists(t, ".mcp-dev")
	})

	t.Run("runs in the foreground until a signal ends it", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan outcome, 1)
		go func() { ended <- mcp(ctx, t, nil, "dev", "--json") }()
		await, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var info dev.Info
		require.Eventually(t, func() bool {
			ready, err := dev.Await(await, ".mcp-dev")
			info = ready
			return err == nil
		}, time.Minute, 50*time.Millisecond)

		t.Run("and the other commands find it", func(t *testing.T) {
			status := mcp(t.Context(), t, nil, "status", "--json")
			require.Zero(t, status.code, status.stderr)
			require.JSONEq(t, `[]`, status.stdout)
			doctor := mcp(t.Context(), t, nil, "doctor")
			for _, check := range []string{`identity +operator/local, until`, `gateway +` + info.Gateway.Address, `clock +it agrees`, `temporal +` + info.Gateway.Address, `encryption +key`} {
				require.Regexp(t, `(?m)^ok +`+check, doctor.stdout)
			}
		})
		t.Run("and a second one says so", func(t *testing.T) {
			second := mcp(t.Context(), t, nil, "dev")
			require.Equal(t, 1, second.code)
			require.Contains(t, second.stderr, "runs in")
			detached := mcp(t.Context(), t, nil, "dev", "--detach")
			require.Zero(t, detached.code)
			require.Contains(t, detached.stdout, info.UI)
			require.Contains(t, detached.stderr, "runs already")
		})
		t.Run("and a second one with other flags says what is not used", func(t *testing.T) {
			other := mcp(t.Context(), t, nil, "dev", "--detach", "--workspace", "/", "--publish", "127.0.0.1", "--ui-port", "1")
			require.Equal(t, 1, other.code)
			require.Contains(t, other.stderr, "does not use --workspace / (it has "+info.Workspace+"), --ui-port 1")
			require.NotContains(t, other.stderr, "--publish")
		})

		stop()
		got := <-ended
		require.Zero(t, got.code, got.stderr)
		var said dev.Info
		decode(t, got.stdout, &said)
		require.Equal(t, info, said)
		require.False(t, dev.Running(".mcp-dev"))
		away := mcp(t.Context(), t, nil, "status")
		require.Equal(t, 4, away.code)
		require.Contains(t, away.stderr, "the gateway at "+info.Gateway.Address+" does not answer: ")
		require.Contains(t, away.stderr, "start the local platform: mcp dev --dir "+info.Dir)
		below := filepath.Join(home, "below")
		require.NoError(t, os.Mkdir(below, 0o755))
		t.Chdir(below)
		gone := mcp(t.Context(), t, nil, "dev", "down", "--destroy")
		require.Zero(t, gone.code, gone.stderr)
		require.Contains(t, gone.stderr, "are gone")
		require.NoDirExists(t, filepath.Join(home, ".mcp-dev"))
		t.Chdir(home)
	})

	t.Run("runs in the background until it is brought down", func(t *testing.T) {
		t.Setenv("MCP_TEST_AS_MCP", "1")
		got := mcp(t.Context(), t, nil, "dev", "--detach", "--json")
		require.Zero(t, got.code, got.stderr)
		var info dev.Info
		decode(t, got.stdout, &info)
		require.NotEqual(t, os.Getpid(), info.PID)
		require.True(t, dev.Running(".mcp-dev"))

		down := mcp(t.Context(), t, nil, "dev", "down", "--destroy")
		require.Zero(t, down.code, down.stderr)
		require.NoDirExists(t, ".mcp-dev")
	})

	t.Run("says why it does not run in the background", func(t *testing.T) {
		t.Setenv("MCP_TEST_AS_MCP", "1")
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer taken.Close()
		_, port, err := net.SplitHostPort(taken.Addr().String())
		require.NoError(t, err)
		got := mcp(t.Context(), t, nil, "dev", "--detach", "--registry-port", port)
		require.Equal(t, 1, got.code)
		require.Empty(t, got.stdout)
		require.Contains(t, got.stderr, port)
		require.Contains(t, got.stderr, filepath.Join(".mcp-dev", "dev.log"))
		require.Zero(t, mcp(t.Context(), t, nil, "dev", "down", "--destroy").code)
	})
}

// programs is where make tools puts temporal and registry. It must be called
// before a test goes to another directory.
func programs(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../bin")
	require.NoError(t, err)
	return dir
}

// TestMain makes of this test binary, where the variable asks for it, mcp
// itself: mcp dev --detach starts its own program again.
func TestMain(m *testing.M) {
	if os.Getenv("MCP_TEST_AS_MCP") != "" {
		os.Exit(cli.Main(nil))
	}
	os.Exit(m.Run())
}
