package parts_test

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
)

func startPostgres(t *testing.T, o parts.PostgresOptions) *parts.Postgres {
	t.Helper()
	p, err := parts.StartPostgres(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Destroy()) })
	return p
}

// psql runs one statement and returns its output.
func psql(t *testing.T, address, statement string) (string, error) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "psql", "--no-psqlrc", "-w", "-qAt", "-c", statement, address).CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

func mustPSQL(t *testing.T, address, statement string) string {
	t.Helper()
	output, err := psql(t, address, statement)
	require.NoError(t, err, output)
	return output
}

// openDir returns a directory that every user may enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "mcp-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestPostgres(t *testing.T) {
	t.Run("it listens on 127.0.0.1 alone, requires the password and flushes commits", func(t *testing.T) {
		p := startPostgres(t, parts.PostgresOptions{Dir: t.TempDir()})
		require.Equal(t, "127.0.0.1||on|on|mcp", mustPSQL(t, p.URL(),
			"select concat_ws('|', current_setting('listen_addresses'), current_setting('unix_socket_directories'), current_setting('fsync'), current_setting('synchronous_commit'), current_database())"))

		address, err := url.Parse(p.URL())
		require.NoError(t, err)
		address.User = url.UserPassword("mcp", "guess")
		output, err := psql(t, address.String(), "select 1")
		require.Error(t, err)
		require.Contains(t, output, "password authentication failed")
	})

	t.Run("a second start keeps the data, the port and the password", func(t *testing.T) {
		dir := openDir(t)
		first := startPostgres(t, parts.PostgresOptions{Dir: dir})
		mustPSQL(t, first.URL(), "create table kept (x int)")
		first.Stop()

		second := startPostgres(t, parts.PostgresOptions{Dir: dir})
		require.Equal(t, first.URL(), second.URL())
		require.Equal(t, "0", mustPSQL(t, second.URL(), "select count(*) from kept"))
	})

	t.Run("a start after a kill finds the data", func(t *testing.T) {
		dir := openDir(t)
		first := startPostgres(t, parts.PostgresOptions{Dir: dir})
		mustPSQL(t, first.URL(), "create table kept (x int)")
		require.NoError(t, syscall.Kill(first.PID(), syscall.SIGKILL))
		<-first.Done()

		second := startPostgres(t, parts.PostgresOptions{Dir: dir})
		require.Equal(t, "0", mustPSQL(t, second.URL(), "select count(*) from kept"))
	})

	t.Run("it starts although its lock file names another server's process", func(t *testing.T) {
		dir := openDir(t)
		first, other := startPostgres(t, parts.PostgresOptions{Dir: dir}), startPostgres(t, parts.PostgresOptions{Dir: openDir(t)})
		require.NoError(t, syscall.Kill(first.PID(), syscall.SIGKILL))
		<-first.Done()
		lock := filepath.Join(dir, "cluster", "data", "postmaster.pid")
		note, err := os.ReadFile(lock)
		require.NoError(t, err)
		note = []byte(strings.Replace(string(note), strconv.Itoa(first.PID()), strconv.Itoa(other.PID()), 1))
		require.NoError(t, os.WriteFile(lock, note, 0o600))

		second := startPostgres(t, parts.PostgresOptions{Dir: dir})
		require.Equal(t, "1", mustPSQL(t, second.URL(), "select 1"))
	})

	t.Run("a port that is no longer free is replaced", func(t *testing.T) {
		dir := openDir(t)
		first := startPostgres(t, parts.PostgresOptions{Dir: dir})
		first.Stop()
		address, err := url.Parse(first.URL())
		require.NoError(t, err)
		other, err := net.Listen("tcp4", address.Host)
		require.NoError(t, err)
		t.Cleanup(func() { _ = other.Close() })

		second := startPostgres(t, parts.PostgresOptions{Dir: dir})
		require.NotEqual(t, first.URL(), second.URL())
	})

	t.Run("data that initdb did not complete is created again", func(t *testing.T) {
		dir := openDir(t)
		half := filepath.Join(dir, "cluster", "data.new")
		require.NoError(t, os.MkdirAll(half, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600))
		if os.Geteuid() == 0 {
			output, err := exec.Command("chown", "-R", "postgres", filepath.Join(dir, "cluster")).CombinedOutput()
			require.NoError(t, err, string(output))
		}
		p := startPostgres(t, parts.PostgresOptions{Dir: dir})
		require.Equal(t, "1", mustPSQL(t, p.URL(), "select 1"))
	})

	t.Run("a destroyed server leaves nothing, wherever its data was", func(t *testing.T) {
		private := t.TempDir()
		require.NoError(t, os.Chmod(private, 0o700))
		for _, dir := range []string{openDir(t), private} {
			p := startPostgres(t, parts.PostgresOptions{Dir: dir})
			data, err := filepath.EvalSymlinks(filepath.Join(dir, "cluster"))
			require.NoError(t, err)
			require.NoError(t, p.Destroy())
			require.NoDirExists(t, data)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		}
	})
}
