package dev_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/secrets/keys"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// programs is the directory where make tools puts temporal and registry.
const programs = "../../bin"

// up starts a platform that is stopped when the test ends.
func up(t *testing.T, dir string, change ...func(*dev.Options)) *dev.Platform {
	t.Helper()
	o := dev.Options{
		Dir: dir, Workspace: t.TempDir(), Services: t.TempDir(), Programs: programs,
		Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
		SDKLogger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p, err := dev.Up(ctx, o)
	require.NoError(t, err)
	t.Cleanup(p.Down)
	return p
}

// asBefore leaves the options to the settings of the last start.
func asBefore(o *dev.Options) { o.Workspace, o.Services = "", "" }

// platformDir returns a directory for a platform, and checks at the end of the
// test that destroying it leaves nothing behind.
func platformDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "platform")
	t.Cleanup(func() {
		left, err := dev.Destroy(context.Background(), dir)
		require.NoError(t, err)
		require.Empty(t, left)
	})
	return dir
}

// connect connects to Temporal as the CLI does, with the mcp.toml in dir.
func connect(t *testing.T, dir string) client.Client {
	t.Helper()
	temporal, err := dial(t, dir)
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	return temporal
}

func dial(t *testing.T, dir string) (client.Client, error) {
	t.Helper()
	c, err := config.Load(filepath.Join(dir, "mcp.toml"), func(string) string { return "" })
	require.NoError(t, err)
	options, err := c.TemporalOptions()
	require.NoError(t, err)
	options.Logger = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	return client.Dial(options)
}

// processes lists the processes whose command line or working directory
// contains word.
func processes(t *testing.T, word string) []string {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var list []string
	for _, path := range found {
		text, err := os.ReadFile(path)
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(path), "cwd"))
		if err == nil && (strings.Contains(string(text), word) || strings.Contains(cwd, word)) {
			list = append(list, filepath.Base(filepath.Dir(path))+" "+strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return list
}

func mounts(t *testing.T, word string) []string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	var list []string
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, word) {
			list = append(list, line)
		}
	}
	return list
}

func TestPlatform(t *testing.T) {
	dir := platformDir(t)
	first := up(t, dir)
	info := first.Info()
	var by *identity.Authority

	t.Run("lists the addresses of its parts", func(t *testing.T) {
		read, err := dev.ReadInfo(dir)
		require.NoError(t, err)
		require.Equal(t, info, read)
		require.Equal(t, os.Getpid(), info.PID)
		require.True(t, info.PrivatePodman)
		require.True(t, dev.Running(dir))
		for _, page := range []string{info.UI, "http://" + info.ImageRegistry + "/v2/", info.Metrics, strings.TrimSuffix(info.Metrics, "metrics") + "readyz"} {
			response, err := http.Get(page)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusOK, response.StatusCode, page)
		}
	})

	t.Run("keeps secrets from other users", func(t *testing.T) {
		for _, name := range []string{"mcp.toml", "postgres.url"} {
			file, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), file.Mode().Perm(), name)
		}
		c, err := config.Load(info.Config, func(string) string { return "" })
		require.NoError(t, err)
		url, err := c.PostgresURL()
		require.NoError(t, err)
		require.Contains(t, url, info.Postgres)
	})

	t.Run("has its gateway alone before Temporal, and an identity for each client", func(t *testing.T) {
		requireGateway(t, info, roles...)
	})

	t.Run("has a signer whose secrets its node takes", func(t *testing.T) {
		c, err := config.Load(info.Config, func(string) string { return "" })
		require.NoError(t, err)
		key, err := keys.LoadSigning(c.Secrets.SigningKey)
		require.NoError(t, err)
		require.Equal(t, []string{key.Signer().String()}, c.Node.Signers)
		require.Equal(t, dir, filepath.Dir(filepath.Dir(c.PinsFile(keys.FileName))), "its pins go with it")
		require.FileExists(t, c.NodeKey(dev.Local))
	})

	t.Run("runs the workers, and registers its node", func(t *testing.T) {
		require.Eventually(t, func() bool { return slices.Contains(nodes(t, dir), dev.Local) }, time.Minute, 100*time.Millisecond)
	})

	t.Run("refuses to run twice in one directory", func(t *testing.T) {
		_, err := dev.Up(t.Context(), dev.Options{Dir: dir, Programs: programs})
		require.True(t, fault.Is(err, fault.Conflict))
		require.ErrorContains(t, err, "as process "+strconv.Itoa(os.Getpid()))
	})

	t.Run("restarts a killed part at the same address", func(t *testing.T) {
		require.NoError(t, syscall.Kill(find(t, dir, "temporal", "server"), syscall.SIGKILL))
		pid := find(t, dir, "registry", "serve")
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		require.Eventually(t, func() bool {
			again := find(t, dir, "registry", "serve")
			return again != 0 && again != pid
		}, time.Minute, 50*time.Millisecond)
		require.Eventually(t, func() bool {
			response, err := http.Get("http://" + info.ImageRegistry + "/v2/")
			if err != nil {
				return false
			}
			return response.Body.Close() == nil
		}, time.Minute, 50*time.Millisecond)
		require.Eventually(t, func() bool { // through the gateway, once Temporal is back
			temporal, err := dial(t, dir)
			if err == nil {
				temporal.Close()
			}
			return err == nil
		}, time.Minute, 50*time.Millisecond)
		require.Contains(t, nodes(t, dir), dev.Local)
	})

	t.Run("stops, and leaves no process", func(t *testing.T) {
		by = authority(t, info)
		first.Down()
		require.Empty(t, processes(t, dir))
		require.False(t, dev.Running(dir))
		require.NoFileExists(t, filepath.Join(dir, "dev.pid"))
	})

	t.Run("starts again at the same addresses, with its data, after its certificates have ended", func(t *testing.T) {
		for _, role := range roles {
			expire(t, by, info, role)
		}
		second := up(t, dir, asBefore)
		requireGateway(t, info, roles...)
		again := second.Info()
		require.Equal(t, info, again)
		temporal := connect(t, dir)
		history, err := temporal.DescribeWorkflowExecution(t.Context(), tend.NodeID(dev.Local), "")
		require.NoError(t, err)
		require.NotNil(t, history)
		require.Contains(t, nodes(t, dir), dev.Local)
		second.Down()
	})

	t.Run("names the gateway where its key is lost", func(t *testing.T) {
		key := filepath.Join(dir, "gateway", "gateway.key")
		require.NoError(t, os.Remove(key))
		_, err := dev.Up(t.Context(), dev.Options{Dir: dir, Programs: programs, SDKLogger: slog.New(slog.DiscardHandler)})
		require.ErrorContains(t, err, "start the gateway: ")
		require.Contains(t, fault.Of(err).Hint, "restore "+key)
		require.Empty(t, processes(t, dir))
	})

	t.Run("is destroyed completely", func(t *testing.T) {
		left, err := dev.Destroy(t.Context(), dir)
		require.NoError(t, err)
		require.Empty(t, left)
		require.NoDirExists(t, dir)
		require.Empty(t, processes(t, dir))
		require.Empty(t, mounts(t, dir))
	})
}

func TestAnotherProcess(t *testing.T) {
	t.Run("the next start waits for the ports of a killed platform", func(t *testing.T) {
		dir := platformDir(t)
		process, before, ended := elsewhere(t, dir)
		operator := held(t, before, identity.Operator)
		require.NoError(t, process.Kill())
		<-ended

		after := up(t, dir, asBefore).Info()
		before.PID = after.PID
		require.Equal(t, before, after)
		renewed := held(t, after, identity.Operator)
		require.Equal(t, operator.Identity, renewed.Identity, "it is renewed, not made anew")
		require.True(t, renewed.Certificate.NotAfter.After(operator.Certificate.NotAfter))
	})

	t.Run("another process can stop a platform", func(t *testing.T) {
		dir := platformDir(t)
		_, _, ended := elsewhere(t, dir)
		was, err := dev.Stop(t.Context(), dir)
		require.NoError(t, err)
		require.True(t, was)
		require.NoError(t, <-ended)
		require.Empty(t, processes(t, dir))

		was, err = dev.Stop(t.Context(), dir)
		require.NoError(t, err)
		require.False(t, was)
	})
}

// elsewhere starts a platform in another process, which runs this test binary:
// see TestMain.
func elsewhere(t *testing.T, dir string) (*os.Process, dev.Info, <-chan error) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "MCP_TEST_PLATFORM="+dir)
	command.Stderr = os.Stderr
	require.NoError(t, command.Start())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		if info, err := dev.ReadInfo(dir); err == nil {
			return command.Process, info, ended
		}
		select {
		case err := <-ended:
			require.Fail(t, "the process ended before its platform was ready", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("MCP_TEST_PLATFORM"); dir != "" {
		os.Exit(platform(dir))
	}
	os.Exit(m.Run())
}

// platform runs a platform until SIGTERM and returns the exit code.
func platform(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	p, err := dev.Up(ctx, dev.Options{Dir: dir, Programs: programs, SDKLogger: slog.New(slog.DiscardHandler)})
	if err != nil {
		slog.Error("start the platform", "error", err)
		return 1
	}
	defer p.Down()
	<-ctx.Done()
	return 0
}

func TestMistakes(t *testing.T) {
	t.Run("a missing program is named, with the command that builds it", func(t *testing.T) {
		t.Setenv("PATH", "/nowhere")
		_, err := dev.Up(t.Context(), dev.Options{Dir: t.TempDir(), Programs: t.TempDir()})
		require.ErrorContains(t, err, "make tools")
	})

	t.Run("a missing workspace is named", func(t *testing.T) {
		_, err := dev.Up(t.Context(), dev.Options{Dir: t.TempDir(), Programs: programs, Workspace: "/nowhere"})
		require.ErrorContains(t, err, "/nowhere")
	})

	t.Run("a podman that does not answer is named", func(t *testing.T) {
		dir := platformDir(t)
		_, err := dev.Up(t.Context(), dev.Options{Dir: dir, Programs: programs, Socket: "unix:///nowhere.sock"})
		require.True(t, fault.Is(err, fault.Unavailable), err)
		require.ErrorContains(t, err, "/nowhere.sock")
	})

	t.Run("a directory that never held a platform is not destroyed", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "mcp.toml"), nil, 0o600))
		_, err := dev.Destroy(t.Context(), dir)
		require.NoError(t, err)
		require.FileExists(t, filepath.Join(dir, "mcp.toml"))
	})

	t.Run("a running platform is not destroyed", func(t *testing.T) {
		dir := t.TempDir()
		lock, err := os.Create(filepath.Join(dir, "dev.lock"))
		require.NoError(t, err)
		defer lock.Close()
		require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
		_, err = dev.Destroy(t.Context(), dir)
		require.True(t, fault.Is(err, fault.Conflict))
	})

	t.Run("other files in the directory stay", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"dev.lock", "notes"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		}
		left, err := dev.Destroy(t.Context(), dir)
		require.NoError(t, err)
		require.Equal(t, []string{filepath.Join(dir, "notes")}, left)
	})
}

// nodes lists the nodes in the registry, read through Temporal.
func nodes(t *testing.T, dir string) []string {
	t.Helper()
	run, err := connect(t, dir).ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: reads.ID("ps", rand.Text()), TaskQueue: workflows.Queue, WorkflowExecutionTimeout: time.Minute,
	}, reads.ProcessesName, reads.ProcessesInput{})
	require.NoError(t, err)
	var result reads.ProcessesResult
	require.NoError(t, run.Get(t.Context(), &result))
	var names []string
	for _, node := range result.Nodes {
		require.Nil(t, node.Error)
		names = append(names, node.Node)
	}
	return names
}

// find returns the id of the process in the platform's directory that runs
// program with word among its arguments, or 0 if there is none.
func find(t *testing.T, dir, program, word string) int {
	t.Helper()
	for _, p := range processes(t, filepath.Join(dir, program)) {
		id, command, _ := strings.Cut(p, " ")
		if strings.Contains(command, " "+word+" ") {
			pid, err := strconv.Atoi(id)
			require.NoError(t, err)
			return pid
		}
	}
	return 0
}
