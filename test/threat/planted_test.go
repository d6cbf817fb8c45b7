package threat

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/dev/parts"
)

// stranger is a user that is neither the caller nor root.
const stranger = 4242

// TestPlantedConfigurations has others decide what the configuration in a parent folder
// says: none may have an effect.
func TestPlantedConfigurations(t *testing.T) {
	obeyed := 0
	for name, plant := range map[string]func(dir, file string) error{
		"a stranger's file":                 func(_, file string) error { return os.Chown(file, stranger, stranger) },
		"a stranger's directory":            func(dir, _ string) error { return os.Chown(dir, stranger, stranger) },
		"a file that all may write to":      func(_, file string) error { return os.Chmod(file, 0o666) },
		"a file that a group may write to":  func(_, file string) error { return chown(file, 0o664, 0, stranger) },
		"a directory that all may write to": func(dir, _ string) error { return os.Chmod(dir, 0o777) },
		"a link to a stranger's file": func(dir, file string) error {
			theirs := filepath.Join(filepath.Dir(dir), "theirs")
			if err := chown(file, 0o600, stranger, stranger); err != nil {
				return err
			}
			if err := os.Rename(file, theirs); err != nil {
				return err
			}
			return os.Symlink(theirs, file)
		},
		"a stranger's link": func(dir, file string) error {
			mine := filepath.Join(filepath.Dir(dir), "mine")
			if err := os.Rename(file, mine); err != nil {
				return err
			}
			if err := os.Symlink(mine, file); err != nil {
				return err
			}
			return os.Lchown(file, stranger, stranger)
		},
	} {
		root := t.TempDir()
		dir := filepath.Join(root, config.DevDir)
		file := filepath.Join(dir, "mcp.toml")
		below := filepath.Join(root, "a", "b")
		require.NoError(t, os.MkdirAll(below, 0o755))
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.NoError(t, os.WriteFile(file, []byte("[temporal]\naddress = \"evil.example:7233\"\n"), 0o600))
		nothing := func(string) string { return "" }
		_, err := config.Find("", nothing, below)
		require.NoError(t, err, name)
		require.NoError(t, plant(dir, file), name)
		if _, err := config.Find("", nothing, below); err == nil {
			obeyed++
			t.Errorf("%s takes effect", name)
		} else {
			require.ErrorContains(t, err, file, name)
		}
	}
	t.Logf("planted configurations that take effect: %d", obeyed)
}

func chown(file string, mode os.FileMode, uid, gid int) error {
	if err := os.Chown(file, uid, gid); err != nil {
		return err
	}
	return os.Chmod(file, mode)
}

// TestKeys plants addresses in a configuration that may have come with a checkout: no
// key of the environment may go there.
func TestKeys(t *testing.T) {
	sent := 0
	for _, variable := range []string{"TEMPORAL_API_KEY", "TEMPORAL_GRPC_META_AUTHORIZATION"} {
		for _, address := range []string{"evil.example:7233", "10.0.0.1:7233", "127.0.0.1.evil.example:7233", "127.0.0.1:7233"} {
			dir := filepath.Join(t.TempDir(), config.DevDir)
			require.NoError(t, os.Mkdir(dir, 0o755))
			file := filepath.Join(dir, "mcp.toml")
			require.NoError(t, os.WriteFile(file, []byte("[temporal]\naddress = \""+address+"\"\n"), 0o600))
			t.Setenv(variable, "key")
			own := func(name string) string {
				return map[string]string{variable: "key", "TEMPORAL_CONFIG_FILE": "/none"}[name]
			}
			c, err := config.Load(file, own)
			require.NoError(t, err)
			options, err := c.TemporalOptions()
			if err == nil && (options.Credentials != nil || options.HeadersProvider != nil) {
				sent++
				t.Errorf("$%s is sent to %s", variable, address)
			}
		}
	}
	t.Logf("keys that go to planted addresses: %d", sent)
}

// TestPlantedLinks puts links where mcp dev writes, gives away and removes. What they lead
// to must stay as it is.
func TestPlantedLinks(t *testing.T) {
	followed, links := 0, []string{
		"", "postgres", "podman", "temporal", "registry", "dev.log", "dev.lock", "mcp.toml", "settings.json",
		"postgres/cluster", "postgres/postgres.log", "postgres/port", "podman/volatile", "podman/containers.conf",
		"podman/networks", "temporal/temporal.log", "registry/config.yml",
	}
	programs, err := filepath.Abs("../../bin")
	require.NoError(t, err)
	for _, link := range links {
		root := t.TempDir()
		dir, target := filepath.Join(root, config.DevDir), filepath.Join(root, "precious")
		kept := filepath.Join(target, "cluster", "kept")
		require.NoError(t, os.MkdirAll(filepath.Dir(kept), 0o755))
		require.NoError(t, os.WriteFile(kept, []byte("kept"), 0o644))
		for _, name := range []string{"root", "volumes", "networks", "data"} {
			require.NoError(t, os.Mkdir(filepath.Join(target, name), 0o755))
		}
		path := filepath.Join(dir, link)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		leadsTo := target
		if filepath.Ext(link) != "" || link == "postgres/port" {
			leadsTo = kept
		}
		require.NoError(t, os.Symlink(leadsTo, path))
		if link == "" {
			require.NoError(t, os.WriteFile(filepath.Join(target, "dev.lock"), nil, 0o644))
		} else if link != "dev.lock" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "dev.lock"), nil, 0o644))
		}
		before := snapshot(t, target)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		platform, err := dev.Up(ctx, dev.Options{Unsafe: true, Dir: dir, Workspace: root, Services: root, Programs: programs, Version: "test", NoEdge: true})
		if err == nil {
			t.Errorf("mcp dev starts with the link %s", link)
			platform.Down()
		} else {
			require.ErrorContains(t, err, "is a link", link)
		}
		_, _ = dev.Stop(ctx, dir)
		_, _ = dev.Destroy(ctx, dir) // refused, or without the target
		require.NoError(t, parts.RemovePostgres(filepath.Join(dir, "postgres")))
		cancel()
		if after := snapshot(t, target); after != before {
			followed++
			t.Errorf("%s was followed:\n%s\n%s", link, before, after)
		}
	}
	t.Logf("planted links that are followed: %d of %d", followed, len(links))
}

// snapshot is what is in a directory: names, owners, modes and contents.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	text := ""
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		text += path + " " + info.Mode().String() + " " + time.Duration(stat.Uid).String()
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(content)
		}
		text += "\n"
		return nil
	}))
	return text
}
