package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
)

// env returns an environment of name and value pairs.
func env(pairs ...string) func(string) string {
	values := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return values[name] }
}

// write writes a file into a directory and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLoad(t *testing.T) {
	t.Run("without a file the defaults apply", func(t *testing.T) {
		c, err := config.Load("", env("HOME", "/home/op"))
		require.NoError(t, err)
		require.Equal(t, 30*time.Minute, time.Duration(c.Deadline))
		require.Equal(t, 10000, c.Ports.Low)
		require.Equal(t, time.Minute, time.Duration(c.Ports.Rest))
		require.Equal(t, "127.0.0.1", c.Node.Publish)
		require.Equal(t, "127.0.0.1:9464", c.Worker.Listen)
		require.Equal(t, "/home/op/.local/state/mcp/builds", c.Build.Logs)
		require.Empty(t, c.Build.Builder)
		require.Contains(t, c.Describe(), "/home/op/.config/mcp/mcp.toml")
	})

	t.Run("the file overrides defaults, the environment the file, flags all", func(t *testing.T) {
		path := write(t, t.TempDir(), "mcp.toml", `
			deadline = "1m"
			[ports]
			low = 20000
			rest = "5s"
			[node]
			name = "rift"
			publish = "10.0.0.1"`)
		c, err := config.Load(path, env("MCP_PORTS_REST", "7s", "MCP_NODE_NAME", "orion", "MCP_NODE_PUBLISH", "10.0.0.2",
			"MCP_PORTS_HIGH", "30000", "MCP_IMAGE_REGISTRY_INSECURE", "a:1, b:2"),
			func(c *config.Config) { c.Node.Publish = "10.0.0.3" })
		require.NoError(t, err)
		require.Equal(t, time.Minute, time.Duration(c.Deadline))
		require.Equal(t, 20000, c.Ports.Low)
		require.Equal(t, 30000, c.Ports.High)
		require.Equal(t, 7*time.Second, time.Duration(c.Ports.Rest))
		require.Equal(t, "orion", c.Node.Name)
		require.Equal(t, "10.0.0.3", c.Node.Publish)
		require.Equal(t, []string{"a:1", "b:2"}, c.ImageRegistry.Insecure)
		require.Equal(t, path, c.Describe())
	})

	t.Run("paths in the file are relative to it and those of flags to the working directory", func(t *testing.T) {
		dir := t.TempDir()
		t.Chdir(t.TempDir())
		here, err := os.Getwd()
		require.NoError(t, err)
		path := write(t, dir, "mcp.toml", `
			services = "services"
			[build]
			socket = "podman.sock"
			logs = "/var/log/builds"`)
		c, err := config.Load(path, env(), func(c *config.Config) { c.Build.Workspace = "src" })
		require.NoError(t, err)
		require.Equal(t, filepath.Join(dir, "services"), c.Services)
		require.Equal(t, "unix://"+filepath.Join(dir, "podman.sock"), c.Build.Socket)
		require.Equal(t, "/var/log/builds", c.Build.Logs)
		require.Equal(t, filepath.Join(here, "src"), c.Build.Workspace)
	})

	t.Run("a worker can be configured not to listen", func(t *testing.T) {
		for _, off := range []string{"", "off"} {
			c, err := config.Load(write(t, t.TempDir(), "mcp.toml", "[worker]\nlisten = \""+off+"\""), env())
			require.NoError(t, err)
			require.Equal(t, off, c.Worker.Listen)
		}
		c, err := config.Load("", env("MCP_WORKER_LISTEN", "off"))
		require.NoError(t, err)
		require.Equal(t, "off", c.Worker.Listen)
	})

	t.Run("each workspace has its own default builder", func(t *testing.T) {
		names := map[string]bool{}
		for _, workspace := range []string{"/src/a", "/src/b", "/src/a"} {
			c, err := config.Load("", env("MCP_BUILD_WORKSPACE", workspace))
			require.NoError(t, err)
			require.Regexp(t, `^[a-z0-9]+(-?[a-z0-9]+)*-[0-9a-f]{6}$`, c.Build.Builder)
			names[c.Build.Builder] = true
		}
		require.Len(t, names, 2)
	})

	t.Run("the podman of CONTAINER_HOST is the default", func(t *testing.T) {
		c, err := config.Load("", env("CONTAINER_HOST", "unix:///tmp/p.sock"))
		require.NoError(t, err)
		require.Equal(t, "unix:///tmp/p.sock", c.Node.Socket)
	})
}

func TestKeysOfSecrets(t *testing.T) {
	load := func(text string) *config.Config {
		t.Helper()
		c, err := config.Load(write(t, t.TempDir(), "mcp.toml", text), env("HOME", "/home/op"))
		require.NoError(t, err)
		return c
	}
	standard := load("")
	require.Equal(t, "/home/op/.local/state/mcp/keys/node-rift", standard.NodeKey("rift"))
	require.Equal(t, "/home/op/.config/mcp/signing.key", standard.Secrets.SigningKey)
	require.Empty(t, standard.PinsFile("mcp.keys.toml"))
	require.Equal(t, "/srv/mcp/keys/node-rift", load("[node]\ndata = \"/srv/mcp/node\"").NodeKey("rift"))
	require.Equal(t, "/srv/keys/node-rift", load("[node]\nkeys = \"/srv/keys\"").NodeKey("rift"))
	require.Equal(t, "/src/mcp.keys.toml", load("services = \"/src/services\"").PinsFile("mcp.keys.toml"))
	require.Equal(t, "/src/mcp.keys.toml", load("[build]\nsources = \"/src\"").PinsFile("mcp.keys.toml"))
	require.Equal(t, "/keys.toml", load("services = \"/src/services\"\n[secrets]\nkeys = \"/keys.toml\"").PinsFile("mcp.keys.toml"))
	of := load("[secrets]\nsigning_key = \"ours\"")
	require.Equal(t, filepath.Join(filepath.Dir(of.File()), "ours"), of.Secrets.SigningKey)

	c, err := config.Load("", env())
	require.NoError(t, err)
	require.Equal(t, "/etc/mcp/signing.key", c.Secrets.SigningKey)
	require.Equal(t, "/var/lib/mcp/keys/node-rift", c.NodeKey("rift"))
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"an unknown key", "\n[build]\nworkspce = \"x\"", "mcp.toml:3: build.workspce: unknown key; valid keys are workspace, sources, builder, socket, logs"},
		{"an unknown key at the top", "servces = \"x\"", "mcp.toml:1: servces: unknown key; valid keys are services, deadline, build,"},
		{"an unknown table", "[bild]\nx = 1", "bild"},
		{"a second unknown key", "a = 1\nb = 2", "mcp.toml:2: b: unknown key"},
		{"a wrong type", "[ports]\nlow = \"many\"", "mcp.toml:2: ports.low: cannot decode TOML string into int"},
		{"a syntax error", "services = \n", "mcp.toml:1"},
		{"a duration without a unit", "[ports]\nrest = 60", "ports.rest: must be a time with its unit"},
		{"an invalid duration", "deadline = \"soon\"", "mcp.toml:1"},
		{"an interval that is too short", "[monitor]\ninterval = \"10ms\"", `monitor.interval: must be at least "1s", not 10ms`},
		{"a port out of range", "[ports]\nhigh = 70000", "ports.high: must be between 1 and 65535, not 70000"},
		{"an inverted range", "[ports]\nlow = 300\nhigh = 200", "ports.high: must not be less than ports.low"},
		{"an invalid node name", "[node]\nname = \"Rift!\"", `node.name: must consist of a-z, 0-9 and -, not "Rift!"`},
		{"a signer that is none", "[node]\nsigners = [\"age1x\"]", "node.signers: must contain what mcp secret signer prints"},
		{"a remote socket", "[node]\nsocket = \"tcp://rift:8080\"", "node.socket: must be podman's socket"},
		{"an address to listen on without a port", "[worker]\nlisten = \"localhost\"", `worker.listen: must be host:port, such as "127.0.0.1:9464", or "off", not "localhost"`},
		{"a port to listen on that is not a number", "[worker]\nlisten = \":http\"", "worker.listen: must be host:port"},
		{"a port to listen on beyond the last", "[worker]\nlisten = \":65536\"", "worker.listen: must be host:port"},
		{"an invalid address to publish on", "[node]\npublish = \"rift\"", "node.publish: must be an IP address"},
		{"an address without a port", "[temporal]\naddress = \"temporal\"", "temporal.address: must be host:port"},
		{"a UI address without a scheme", "[temporal]\nui = \"127.0.0.1:8233\"", "temporal.ui: must begin with http://"},
		{"an image registry with a scheme", "[image_registry]\ninsecure = [\"http://r:5000\"]", "image_registry.insecure: must contain host:port"},
		{"a URL given twice", "[postgres]\nurl = \"postgres://a\"\nurl_file = \"b\"", "postgres.url_file: conflicts with postgres.url"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.Load(write(t, t.TempDir(), "mcp.toml", test.text), env())
			require.ErrorContains(t, err, test.want)
		})
	}

	t.Run("all are reported at once", func(t *testing.T) {
		_, err := config.Load(write(t, t.TempDir(), "mcp.toml", "[ports]\nlow = 0\n[node]\npublish = \"x\""), env())
		require.ErrorContains(t, err, "ports.low")
		require.ErrorContains(t, err, "node.publish")
	})

	t.Run("an invalid variable is named", func(t *testing.T) {
		_, err := config.Load("", env("MCP_PORTS_LOW", "few"))
		require.EqualError(t, err, `MCP_PORTS_LOW: "few" is not a whole number`)
	})

	t.Run("a password is never repeated", func(t *testing.T) {
		_, err := config.Load("", env("MCP_POSTGRES_URL", "mysql://mcp:hunter2@db/mcp"))
		require.ErrorContains(t, err, "postgres.url")
		require.NotContains(t, err.Error(), "hunter2")
	})
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "project", "deep", "er")
	require.NoError(t, os.MkdirAll(below, 0o755))
	local := write(t, dir, "project/.mcp-dev/mcp.toml", "")
	users := write(t, dir, "xdg/mcp/mcp.toml", "")
	home := write(t, dir, "home/.config/mcp/mcp.toml", "")
	other := write(t, dir, "other.toml", "")
	for _, test := range []struct {
		name, flag, cwd string
		env             func(string) string
		want            string
	}{
		{"the flag first", other, below, env("MCP_CONFIG", local), other},
		{"a relative flag", "other.toml", dir, env(), other},
		{"then the variable", "", below, env("MCP_CONFIG", other), other},
		{"then the local platform's in a parent folder", "", below, env("XDG_CONFIG_HOME", filepath.Join(dir, "xdg")), local},
		{"then the user's", "", dir, env("XDG_CONFIG_HOME", filepath.Join(dir, "xdg"), "HOME", filepath.Join(dir, "home")), users},
		{"the user's in their home", "", dir, env("HOME", filepath.Join(dir, "home")), home},
		{"no file is not an error", "", dir, env(), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			path, err := config.Find(test.flag, test.env, test.cwd)
			require.NoError(t, err)
			require.Equal(t, test.want, path)
		})
	}

	t.Run("a file that is named must exist", func(t *testing.T) {
		_, err := config.Find("", env("MCP_CONFIG", "/no/such.toml"), dir)
		require.ErrorContains(t, err, "$MCP_CONFIG")
		require.ErrorContains(t, err, "/no/such.toml")
	})
}

func TestExample(t *testing.T) {
	const example = "../../docs/mcp.example.toml"
	_, err := config.Load(example, env())
	require.NoError(t, err)

	t.Run("has every key", func(t *testing.T) {
		text, err := os.ReadFile(example)
		require.NoError(t, err)
		var has map[string]any
		require.NoError(t, toml.Unmarshal(text, &has))
		requireKeys(t, "", reflect.TypeFor[config.Config](), has)
	})
}

// requireKeys checks that a table has every key of a type.
func requireKeys(t *testing.T, table string, of reflect.Type, has map[string]any) {
	t.Helper()
	for i := range of.NumField() {
		field := of.Field(i)
		name := field.Tag.Get("toml")
		if name == "" {
			continue
		}
		require.Contains(t, has, name, "%s%s is missing", table, name)
		if field.Type.Kind() == reflect.Struct {
			requireKeys(t, table+name+".", field.Type, has[name].(map[string]any))
		}
	}
}
