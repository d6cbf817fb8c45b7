package compose_test

import (
	"os"
	"path/filepath"
	"testing"

	composecli "github.com/compose-spec/compose-go/v2/cli"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/compose"
	"github.com/metacircular/mcp/servicedef"
)

// everything is a definition with what Compose can say, and what it cannot.
const everything = `name = "shop"
node = "rift"
path = "shop"
env_file = ["shared.env"]

[env]
TZ = "UTC"

[build.images]
shop-web = "web/Containerfile"

[[components]]
name = "web"
image = "registry.example:5000/shop-web:v1"
entrypoint = ["/entry", "a b"]
cmd = ["serve", "$HOME", "100%", "it's \"x\""]
workdir = "/app"
user = "1000:1000"
hostname = "front"
env = { A = "1", B = "true", C = "$x", D = "", E = "a: b # c\nd" }
labels = { "com.example" = "yes" }
secrets = ["shop-tls", { source = "shop-key", target = "key.pem", uid = 5, mode = "0400" }]
secret_env = { PASSWORD = "shop-db" }
volumes = ["/srv/shop:/data:ro", "shop-cache:/cache", "deep:/deep:noexec,ro"]
tmpfs = ["/tmp:size=64m", "/run"]
ports = ["127.0.0.1:8080:8080", "53:53/udp", "[::1]:9000-9001:9000-9001"]
memory = "64m"
cpus = 0.5
restart = "on-failure:3"
stop_timeout = "30s"
drain = "5s"
depends_on = ["db"]
log_size = "20m"
init = true
read_only = true
cap_add = ["NET_BIND_SERVICE"]
cap_drop = ["ALL"]
security_opt = ["no-new-privileges"]
sysctls = { "net.core.somaxconn" = "1024" }
ulimits = { nofile = "1024:2048", nproc = "unlimited" }
extra_hosts = ["a.example:10.0.0.1"]
dns = ["10.0.0.53"]
shm_size = "128m"
stop_signal = "SIGQUIT"
pids_limit = 100
group_add = ["audio"]
files = [{ target = "/etc/a.conf", content = "a = $b\n" }, { target = "/etc/b.conf", source = "b.conf", mode = "0600" }]
[components.health]
http = "/healthz"
retries = 5
[[components.routes]]
name = "http"
port = 443
mode = "l7"
hostname = ["shop.example", "www.shop.example"]

[[components]]
name = "db"
node = "orion"
image = "docker.io/library/postgres:17"
volumes = ["shop-db:/var/lib/postgresql/data"]
order = "stop-first"
[components.health]
cmd = ["sh", "-c", "pg_isready -U $USER"]
interval = "3s"
[[components.routes]]
name = "sql"
port = 5432
container_port = 5432

[[components]]
name = "side"
image = "docker.io/library/busybox:1"
network = "host"

[[components]]
name = "report"
image = "registry.example:5000/shop-web:v1"
cmd = ["report"]
schedule = """0 3
* * *"""
timezone = "Europe/Berlin"
overlap = "queue"
jitter = "1m"
timeout = "2h"
retries = 2

[[steps]]
name = "migrate"
component = "web"
cmd = ["migrate"]
depends_on = ["db"]

[[steps]]
name = "warm"
when = "after"
component = "web"
cmd = ["warm", "$HOME"]
retries = 1
`

// An exported file is one that Compose reads, and that makes the same definition.
func TestAnExportMakesTheSameDefinition(t *testing.T) {
	example, err := os.ReadFile("../../docs/service.example.toml")
	require.NoError(t, err)
	for name, text := range map[string]string{"everything": everything, "the example": string(example)} {
		t.Run(name, func(t *testing.T) {
			services, err := servicedef.ParseAll([]byte(text), "shop.toml")
			require.NoError(t, err)
			for _, s := range services {
				requireRoundTrip(t, s)
			}
		})
	}
}

func requireRoundTrip(t *testing.T, s *servicedef.Service) {
	t.Helper()
	made, err := compose.Export(s)
	require.NoError(t, err)
	files := map[string]string{"compose.yaml": made.Text}
	for _, c := range s.Components {
		for _, file := range append(append([]string{}, s.EnvFile...), c.EnvFile...) {
			files[file] = "X=1\n"
		}
		for _, file := range c.Files {
			if file.Source != "" {
				files[file.Source] = "x"
			}
		}
	}
	dir := project(t, files)
	loading, err := composecli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")}, composecli.WithName(s.Name))
	require.NoError(t, err)
	_, err = loading.LoadProject(t.Context())
	require.NoError(t, err, made.Text)

	o := options(dir)
	o.Node = "elsewhere"
	again, err := compose.Import(o)
	require.NoError(t, err, made.Text)
	want := *s
	want.File = again.Service.File
	require.Equal(t, want.TOML(), again.Service.TOML(), made.Text)
	require.Equal(t, s.Hash(), again.Service.Hash())
	for _, n := range again.Notes {
		require.Regexp(t, `PORT|secret|in clear`, n.String(), made.Text)
	}
}

func TestAnExportListsWhatComposeCannotSay(t *testing.T) {
	s, err := servicedef.Parse([]byte(everything), "shop.toml")
	require.NoError(t, err)
	made, err := compose.Export(s)
	require.NoError(t, err)
	var keys []string
	for _, n := range made.Notes {
		keys = append(keys, n.Key)
	}
	for _, key := range []string{"components.web.health", "components.web.routes", "components.web.secret_env", "components.web.drain", "components.web.volumes", "components.db.node",
		"components.report.schedule", "components.report.overlap", "components.report.retries", "steps"} {
		require.Contains(t, keys, key)
	}
	require.Regexp(t, `^# Made of the service shop by mcp service export\.
# Compose does not start the job report, whose schedule is "0 3\\n\* \* \*": docker compose run --rm report runs it\.
# Compose does not run the step migrate, which is due before each deployment\.
# Compose does not run the step warm, which is due after each deployment\.
name: shop
`, made.Text)
}
