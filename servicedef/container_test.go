package servicedef_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestContainerSettingsAreDecoded(t *testing.T) {
	c := parse(t, edit(t, "# db", `pid = "host"
ulimits = { nofile = 1024, nproc = "100:200", memlock = "unlimited", core = { soft = 0, hard = 10 } }
tmpfs = "/run"
sysctls = { "net.core.somaxconn" = 1024, "kernel.sem" = "250 32000 100 128" }
gpus = ["0", "GPU-1"]
dns = "10.0.0.53"
secrets = ["plain", { source = "key", target = "tls.key", uid = 5, mode = "0400" }]
[[components.files]]
target = "/etc/b.bin"
base64 = "AAE="
mode = "600"
uid = 7`)).Components[1]
	require.Equal(t, map[string]servicedef.Ulimit{
		"nofile": {Soft: 1024, Hard: 1024}, "nproc": {Soft: 100, Hard: 200}, "memlock": {Soft: servicedef.Unlimited, Hard: servicedef.Unlimited}, "core": {Soft: 0, Hard: 10},
	}, c.Ulimits)
	require.Equal(t, servicedef.Strings{"/run"}, c.Tmpfs)
	require.Equal(t, servicedef.Sysctls{"net.core.somaxconn": "1024", "kernel.sem": "250 32000 100 128"}, c.Sysctls)
	require.Equal(t, []string{"nvidia.com/gpu=0", "nvidia.com/gpu=GPU-1"}, c.GPUDevices())
	require.Equal(t, []servicedef.Secret{{Source: "plain"}, {Source: "key", Target: "tls.key", UID: 5, Mode: "0400"}}, c.Secrets)
	require.Equal(t, "/run/secrets/tls.key", c.Secrets[1].Path())
	data, err := c.Files[0].Data()
	require.NoError(t, err)
	require.Equal(t, []byte{0, 1}, data)
	require.Equal(t, []string{"key", "plain"}, c.SecretNames())
}

func TestContainerRulesNameLineAndKey(t *testing.T) {
	for _, test := range []struct{ line, key, message string }{
		{`entrypoint = [""]`, "entrypoint", "begin with a program"},
		{`workdir = "srv"`, "workdir", "absolute"},
		{`working_dir = "/srv"`, "working_dir", "what Compose calls working_dir is workdir"},
		{`environment = { A = "b" }`, "environment", "is env"},
		{`hostname = "a_b"`, "hostname", "DNS name"},
		{`labels = { "mcp.service" = "x" }`, `labels."mcp.service"`, "mcp."},
		{`labels = { "a=b" = "x" }`, `labels."a=b"`, "label"},
		{`stop_signal = "SIGNOPE"`, "stop_signal", "signal"},
		{`stop_signal = "99"`, "stop_signal", "signal"},
		{"init = true\npid = \"host\"", "init", "pid"},
		{`ulimits = { nofiles = 1 }`, "ulimits.nofiles", "did you mean nofile"},
		{`ulimits = { nofile = "many" }`, "ulimits.nofile", "many"},
		{`ulimits = { nofile = 1.5 }`, "ulimits.nofile", "float"},
		{`ulimits = { nofile = "9:8" }`, "ulimits.nofile", "above its hard"},
		{`ulimits = { nofile = "unlimited" }`, "ulimits.nofile", "no unlimited"},
		{`ulimits = { nofile = { soft = 1 } }`, "ulimits.nofile", "soft and hard"},
		{`ulimits = { core = -2 }`, "ulimits.core", "negative"},
		{`pids_limit = -2`, "pids_limit", "positive"},
		{`shm_size = "1"`, "shm_size", "64k"},
		{"shm_size = \"64m\"\nipc = \"host\"", "shm_size", "no effect"},
		{`cap_add = ["NET_ADMN"]`, "cap_add[0]", "NET_ADMIN"},
		{"cap_add = [\"chown\"]\ncap_drop = [\"CAP_CHOWN\"]", "cap_add[0]", "dropped"},
		{`security_opt = ["privileged"]`, "security_opt[0]", "no-new-privileges"},
		{`security_opt = ["seccomp=profile.json"]`, "security_opt[0]", "absolute"},
		{`security_opt = ["label=off"]`, "security_opt[0]", "label=disable"},
		{`security_opt = ["apparmor=a", "apparmor=b"]`, "security_opt[1]", "second time"},
		{`sysctls = { "kernel.hostname" = "a" }`, `sysctls."kernel.hostname"`, "whole node"},
		{`sysctls = { net = { core = 1 } }`, "sysctls.net", "quoted"},
		{"sysctls = { \"net.ipv4.ip_forward\" = 1 }\nnetwork = \"host\"", `sysctls."net.ipv4.ip_forward"`, "host networking"},
		{"sysctls = { \"kernel.sem\" = 1 }\nipc = \"host\"", `sysctls."kernel.sem"`, "ipc"},
		{`devices = ["fuse"]`, "devices[0]", "/dev/host"},
		{`devices = ["/dev/fuse:rwx"]`, "devices[0]", "access"},
		{`devices = ["/dev/a:/dev/b:"]`, "devices[0]", "access"},
		{`gpus = ["all", "0"]`, "gpus", "not both"},
		{`group_add = ["keep-groups"]`, "group_add[0]", "by hand"},
		{`userns = "private"`, "userns", "keep-id"},
		{`userns = "host:x"`, "userns", "no options"},
		{`pid = "container:a"`, "pid", "private"},
		{`ipc = "shared"`, "ipc", "shareable"},
		{`extra_hosts = ["db"]`, "extra_hosts[0]", "name:address"},
		{`extra_hosts = ["db:nowhere"]`, "extra_hosts[0]", "name:address"},
		{`dns = "dns.example"`, "dns[0]", "address"},
		{"dns = [\"10.0.0.1\"]\nnetwork = \"none\"", "dns", "no effect"},
		{`log_driver = "syslog"`, "log_driver", "journald"},
		{"log_driver = \"journald\"\nlog_size = \"20m\"", "log_size", "no effect"},
		{`tmpfs = ["tmp"]`, "tmpfs[0]", "absolute"},
		{`tmpfs = ["/tmp:size=lots"]`, "tmpfs[0]", "unknown option"},
		{"tmpfs = [\"/data\"]\nvolumes = [\"v:/data\"]", "tmpfs[0]", "mounted by components[1].volumes[0]"},
		{`secrets = [{ source = "a", mode = "999" }]`, "secrets[0].mode", "octal"},
		{`secrets = [{ source = "a", target = "../b" }]`, "secrets[0].target", "absolute path"},
		{`secrets = [{ target = "b" }]`, "secrets[0].source", "name of a secret"},
		{`secrets = [{ source = "a", owner = 1 }]`, "secrets[0].owner", "unknown key"},
		{`secrets = [5]`, "secrets[0]", "a string, or a table"},
		{`env_file = "../secret.env"`, "env_file[0]", "stay in it"},
		{"[[components.files]]\ntarget = \"etc\"", "files[0].target", "absolute"},
		{"[[components.files]]\ntarget = \"/etc/a\"\nsource = \"/etc/passwd\"", "files[0].source", "stay in it"},
		{"[[components.files]]\ntarget = \"/etc/a\"\nsource = \"a\"\ncontent = \"b\"", "files[0].content", "excludes source"},
		{"[[components.files]]\ntarget = \"/etc/a\"\nbase64 = \"?\"", "files[0].base64", "base64"},
		{"[[components.files]]\ntarget = \"/etc/a\"\nuid = -1", "files[0].uid", "from 0"},
		{"[[components.files]]\ntarget = \"/etc/a\"\n[[components.files]]\ntarget = \"/etc/a\"", "files[1].target", "mounted by"},
		{"[components.health]\nhttp = \"/\"\nstatus = 99", "health.status", "200 to 599"},
		{"[components.health]\nhttp = \"/\"\nstatus = \"ok\"", "health.status", "whole number"},
		{"[components.health]\ntcp = true\nstatus = 200", "health.status", "over http"},
		{"[components.health]\nhttp = \"/\"\nheaders = { \"a b\" = \"c\" }", `health.headers."a b"`, "name of a header"},
		{"[components.health]\nhttp = \"/\"\nheaders = { Host = \"c\" }", "health.headers.Host", "host of the health check"},
	} {
		t.Run(test.line, func(t *testing.T) {
			text := edit(t, "# db", test.line)
			if test.key[:3] == "hea" {
				text = edit(t, "# db", "ports = [\"80:80\"]\n"+test.line)
			}
			found := problems(t, text)
			require.Len(t, found, 1, "%v", found)
			require.Equal(t, "components[1]."+test.key, found[0].Key)
			require.Contains(t, found[0].Message, test.message)
			require.GreaterOrEqual(t, found[0].Line, lineOf(t, text, "postgres:17"))
		})
	}
}

func TestSharedVariables(t *testing.T) {
	s := parse(t, edit(t, `path = "shop"`, "path = \"shop\"\nenv = { A = \"shared\", B = \"shared\", C = \"shared\" }")+
		"env = { B = \"own\" }\nsecret_env = { C = \"c\" }\n")
	require.Equal(t, map[string]string{"A": "shared", "B": "shared", "C": "shared"}, s.Components[0].Env)
	require.Equal(t, map[string]string{"A": "shared", "B": "own"}, s.Components[1].Env)
	found := problems(t, edit(t, `path = "shop"`, "env = { PORT = \"1\", PORT_REST = \"2\" }"))
	require.Len(t, found, 4)
	for _, p := range found {
		require.Contains(t, p.Message, "route rest")
	}
}

// A plain secret has the form in JSON that it had when it could not be more.
func TestAPlainSecretIsAName(t *testing.T) {
	text, err := json.Marshal([]servicedef.Secret{{Source: "a"}, {Source: "b", Mode: "0400"}})
	require.NoError(t, err)
	require.JSONEq(t, `["a", {"source": "b", "mode": "0400"}]`, string(text))
	var back []servicedef.Secret
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, "[a b mode 0400]", fmt.Sprint(back))
}
