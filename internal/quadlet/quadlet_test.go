package quadlet_test

import (
	"strings"
	"testing"

	"github.com/containers/podman/v5/pkg/systemd/parser"
	generator "github.com/containers/podman/v5/pkg/systemd/quadlet"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/quadlet"
	"github.com/metacircular/mcp/servicedef"
)

const definition = `name = "shop"
node = "rift"
[[components]]
name = "web"
image = "registry.example:5000/shop-web:v1"
cmd = ["serve", "$HOME", "100%", "it's \"x\"", "a\nb", ""]
env = { A = "a b", B = "$x", C = "50%" }
secrets = ["shop-tls"]
secret_env = { PASSWORD = "shop-db" }
volumes = ["/srv/shop:/data:ro", "shop-cache:/cache"]
ports = ["127.0.0.1:8080:8080", "53:53/udp"]
memory = "64m"
cap_add = ["NET_BIND_SERVICE"]
read_only = true
user = "1000:1000"
depends_on = ["db"]
[components.health]
cmd = ["check", "a b"]
[[components.routes]]
name = "http"
port = 443
mode = "l7"
hostname = "shop.example"
[[components]]
name = "db"
image = "docker.io/library/postgres:17"
restart = "no"
network = "host"
[[components]]
name = "report"
image = "registry.example:5000/shop-web:v1"
cmd = ["report"]
schedule = "30 3 * * mon-fri"
timezone = "Europe/Berlin"
overlap = "queue"
jitter = "90s"
timeout = "2h"
retries = 2
[[components]]
name = "reindex"
image = "registry.example:5000/shop-web:v1"
schedule = "manual"
[[steps]]
name = "migrate"
component = "web"
cmd = ["migrate"]
`

// podman's own generator takes the units, and makes the command line that mcp would run.
func TestPodmansGeneratorTakesTheUnits(t *testing.T) {
	s, err := servicedef.Parse([]byte(definition), "shop.toml")
	require.NoError(t, err)
	files, notes := quadlet.Export(s)
	units, infos := map[string]*parser.UnitFile{}, map[string]*generator.UnitInfo{}
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".timer") {
			require.Equal(t, "shop-report.timer", f.Name)
			require.Equal(t, timer, f.Text)
			continue
		}
		u := parser.NewUnitFile()
		require.NoError(t, u.Parse(f.Text), f.Text)
		u.Filename, u.Path = f.Name, "/etc/containers/systemd/"+f.Name
		units[f.Name] = u
		name, _, _ := strings.Cut(f.Name, ".")
		resource := strings.TrimSuffix(f.Name, ".container")
		service := name
		if strings.HasSuffix(f.Name, ".volume") {
			service, resource = name+"-volume", name
		} else if strings.HasSuffix(f.Name, ".network") {
			service, resource = name+"-network", name
		}
		infos[f.Name] = &generator.UnitInfo{ServiceName: service, ResourceName: resource}
	}
	require.Len(t, units, 6)
	for name, u := range units {
		var made *parser.UnitFile
		var warning, err error
		switch {
		case strings.HasSuffix(name, ".volume"):
			made, warning, err = generator.ConvertVolume(u, infos, false)
		case strings.HasSuffix(name, ".network"):
			made, warning, err = generator.ConvertNetwork(u, infos, false)
		default:
			made, warning, err = generator.ConvertContainer(u, infos, false)
		}
		require.NoError(t, err, name)
		require.NoError(t, warning, name)
		require.NotNil(t, made)
		units[name] = made
	}
	run, ok, _ := units["shop-web.container"].LookupLastArgs("Service", "ExecStart")
	require.True(t, ok)
	text := "\x00" + strings.Join(run, "\x00") + "\x00"
	for _, part := range [][]string{
		{"serve", "$$HOME", "100%%", `it's "x"`, "a\nb"},
		{"--env", "A=a b"}, {"--env", "B=$$x"}, {"--env", "C=50%%"}, {"--env", "PORT=8080"},
		{"--publish", "127.0.0.1:8080:8080"}, {"-v", "/srv/shop:/data:ro"}, {"-v", "shop-cache:/cache"},
		{"--network", "shop"}, {"--network-alias", "web"}, {"--user", "1000:1000"}, {"--memory", "64m"},
		{"--secret", "shop-tls,type=mount,target=/run/secrets/shop-tls"}, {"--secret", "shop-db,type=env,target=PASSWORD"},
		{"--health-cmd", `["CMD","check","a b"]`},
	} {
		require.Contains(t, text, "\x00"+strings.Join(part, "\x00")+"\x00", "%q", run)
	}
	requires, _ := units["shop-web.container"].LookupLast("Unit", "Requires")
	require.NotEmpty(t, requires)
	restart, _ := units["shop-db.container"].Lookup("Service", "Restart")
	require.Equal(t, "no", restart)
	for setting, want := range map[string]string{"Type": "oneshot", "Restart": "no", "TimeoutStartSec": "7200"} {
		got, _ := units["shop-report.container"].Lookup("Service", setting)
		require.Equal(t, want, got)
	}
	_, installed := units["shop-report.container"].Lookup("Install", "WantedBy")
	require.False(t, installed, "its timer starts it")
	var keys []string
	for _, n := range notes {
		keys = append(keys, n.Key)
	}
	require.Equal(t, []string{"components.web.cmd", "components.web.routes", "components.web.secrets",
		"components.report.overlap", "components.report.retries", "components.report.catch_up", "components.report.schedule",
		"components.reindex.schedule", "steps.migrate"}, keys)
}

const timer = `[Unit]
Description=shop/report, when it is due

[Timer]
OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 3:30:00 Europe/Berlin
Persistent=true
AccuracySec=1s
RandomizedDelaySec=90

[Install]
WantedBy=timers.target
`
