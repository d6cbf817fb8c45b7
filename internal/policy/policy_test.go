package policy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/servicedef"
)

const file = "/etc/mcp/node-policy.toml"

func parse(t *testing.T, text string) policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text), file)
	require.NoError(t, err)
	return p
}

// broken judges a component, without a host, and returns what it breaks.
func broken(p policy.Policy, c servicedef.Component) []string {
	var texts []string
	for _, v := range p.Judge(policy.Subject{Component: c}) {
		texts = append(texts, v.String())
	}
	return texts
}

func TestACarefulOwnersRules(t *testing.T) {
	p := policy.Careful(file)
	of := func(c servicedef.Container) servicedef.Component { return servicedef.Component{Container: c} }
	for name, test := range map[string]struct {
		c    servicedef.Component
		want string // the key and the rule; "" where nothing is broken
	}{
		"nothing special":             {servicedef.Component{Image: "docker.io/library/postgres:17", Ports: []string{"127.0.0.1:5432:5432"}, User: "0:0"}, ""},
		"a directory in a root":       {servicedef.Component{Volumes: []string{"/srv/shop:/data", "/srv:/all:ro", "shop-db:/db:nocopy"}}, ""},
		"beside a root":               {servicedef.Component{Volumes: []string{"/srv2:/data"}}, "volumes[0] mounts.roots"},
		"the whole node":              {servicedef.Component{Volumes: []string{"/:/host:ro"}}, "volumes[0] mounts.engine_sockets"},
		"a directory of the system":   {servicedef.Component{Volumes: []string{"a:/a", "/etc:/host:ro"}}, "volumes[1] mounts.roots"},
		"proc":                        {servicedef.Component{Volumes: []string{"/proc/1/root:/host"}}, "volumes[0] mounts.roots"},
		"sys":                         {servicedef.Component{Volumes: []string{"/sys/fs/cgroup:/c"}}, "volumes[0] mounts.roots"},
		"dots":                        {servicedef.Component{Volumes: []string{"/srv/../etc:/host"}}, "volumes[0] mounts.roots"},
		"dots inside":                 {servicedef.Component{Volumes: []string{"/srv/a/../b:/host"}}, "volumes[0] mounts.roots"},
		"a relative path":             {servicedef.Component{Volumes: []string{"../etc:/host"}}, "volumes[0] mounts.roots"},
		"too many parts":              {servicedef.Component{Volumes: []string{"/srv/a:/b:ro:/etc"}}, "volumes[0] mounts.roots"},
		"podman's socket":             {servicedef.Component{Volumes: []string{"/run/podman/podman.sock:/p.sock"}}, "volumes[0] mounts.engine_sockets"},
		"docker's socket":             {servicedef.Component{Volumes: []string{"/var/run/docker.sock:/d.sock"}}, "volumes[0] mounts.engine_sockets"},
		"a directory with the socket": {servicedef.Component{Volumes: []string{"/run:/r"}}, "volumes[0] mounts.engine_sockets"},
		"a user's socket":             {servicedef.Component{Volumes: []string{"/run/user/1000:/r"}}, "volumes[0] mounts.engine_sockets"},
		"an option":                   {servicedef.Component{Volumes: []string{"/srv/a:/a:rshared"}}, "volumes[0] mounts.options"},
		"devices of a mount":          {servicedef.Component{Volumes: []string{"/srv/a:/a:ro,dev"}}, "volumes[0] mounts.options"},
		"an upper directory":          {servicedef.Component{Volumes: []string{"/srv/a:/a:O,upperdir=/etc,workdir=/srv/w"}}, "volumes[0] mounts.options,volumes[0] mounts.options,volumes[0] mounts.roots"},
		"the node's network":          {servicedef.Component{Network: "host"}, "network network.host"},
		"another service's network":   {servicedef.Component{Network: "mcp-other"}, "network network.names"},
		"another one, in a list":      {servicedef.Component{Networks: servicedef.Networks{{Name: "mcp-other"}}}, "networks network.names"},
		"a container's network":       {servicedef.Component{Network: "container:x"}, "network network.names"},
		"no network":                  {servicedef.Component{Network: "none"}, ""},
		"a low port":                  {servicedef.Component{Ports: []string{"8080:80", "80:80"}}, "ports[1] network.ports"},
		"a range that begins low":     {servicedef.Component{Ports: []string{"1000-1100:1000-1100"}}, "ports[0] network.ports"},
		"a capability":                {of(servicedef.Container{CapAdd: []string{"chown", "SYS_ADMIN"}}), "cap_add[1] privileges.capabilities"},
		"all capabilities":            {of(servicedef.Container{CapAdd: []string{"all"}}), "cap_add[0] privileges.capabilities"},
		"fewer capabilities":          {of(servicedef.Container{CapDrop: []string{"ALL"}, ReadOnly: true, SecurityOpt: []string{"no-new-privileges", "mask=/x"}}), ""},
		"a device":                    {of(servicedef.Container{Devices: []string{"/dev/sda:/dev/x:rwm"}}), "devices[0] privileges.devices"},
		"a device of CDI":             {of(servicedef.Container{Devices: []string{"vendor.example/net=nic0"}}), "devices[0] privileges.devices"},
		"a GPU":                       {of(servicedef.Container{GPUs: servicedef.Strings{"all"}}), "gpus privileges.devices"},
		"no seccomp":                  {of(servicedef.Container{SecurityOpt: []string{"seccomp=unconfined"}}), "security_opt[0] privileges.security_opt"},
		"a profile of one's own":      {of(servicedef.Container{SecurityOpt: []string{"seccomp=/srv/open.json"}}), "security_opt[0] privileges.security_opt"},
		"no labels":                   {of(servicedef.Container{SecurityOpt: []string{"label=disable"}}), "security_opt[0] privileges.security_opt"},
		"system paths":                {of(servicedef.Container{SecurityOpt: []string{"systempaths=unconfined"}}), "security_opt[0] privileges.security_opt"},
		"new privileges":              {of(servicedef.Container{SecurityOpt: []string{"no-new-privileges:false"}}), "security_opt[0] privileges.security_opt"},
		"pid":                         {of(servicedef.Container{PID: "host"}), "pid privileges.namespaces"},
		"another container's pid":     {of(servicedef.Container{PID: "container:x"}), "pid privileges.namespaces"},
		"ipc":                         {of(servicedef.Container{IPC: "host"}), "ipc privileges.namespaces"},
		"a path of a namespace":       {of(servicedef.Container{IPC: "path:/proc/1/ns/ipc"}), "ipc privileges.namespaces"},
		"userns":                      {of(servicedef.Container{Userns: "host"}), "userns privileges.namespaces"},
		"userns of its own":           {of(servicedef.Container{Userns: "auto:size=1000", PID: "private", IPC: "shareable"}), ""},
		"processes without end":       {of(servicedef.Container{PidsLimit: -1}), "pids_limit privileges.pids_limit"},
		"many processes":              {of(servicedef.Container{PidsLimit: 100_000}), "pids_limit privileges.pids_limit"},
		"a large log":                 {servicedef.Component{LogSize: "2g"}, "log_size privileges.log_size"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range p.Judge(policy.Subject{Component: test.c}) {
				require.Zero(t, v.Line)
				require.Contains(t, v.String(), "by default")
				got = append(got, v.Key+" "+v.Rule)
			}
			require.Equal(t, test.want, strings.Join(got, ","))
		})
	}
}

// One file allows what another forbids: each rule is changed by its key alone.
func TestAnOwnerChangesRules(t *testing.T) {
	p := parse(t, `[mounts]
roots = ["/data/"]
read_only_roots = ["/", "/proc", "/sys"]
engine_sockets = true
options = ["ro", "rslave", "upperdir", "O"]

[images]
registries = ["registry.example:5000", "docker.io/library", "*.trusted.example/base"]

[network]
host = true
names = ["backend", "team-*"]
ports = ["80", "8000-8999"]

[users]
uids = ["1000-1999"]
gids = ["1000-1999", "44"]

[privileges]
capabilities = ["net_raw"]
devices = ["/dev/ttyUSB*", "vendor.example/net=nic0"]
security_opt = ["seccomp=unconfined", "label=*"]
namespaces = ["pid"]
pids_limit = -1
log_size = "10g"
`)
	c := servicedef.Component{
		Image: "docker.io/library/postgres:17", User: "1000:1000", Network: "host", LogSize: "5g",
		Volumes: []string{"/data/x:/x", "/:/host:ro,rslave", "/proc:/p:ro", "/data/l:/o:O,upperdir=/data/u", "/run/podman:/s:ro"},
		Ports:   []string{"80:80", "8000-8010:8000-8010"},
		Container: servicedef.Container{
			CapAdd: []string{"CAP_NET_RAW"}, Devices: []string{"/dev/ttyUSB0:/dev/tty", "vendor.example/net=nic0"}, PID: "host", PidsLimit: -1,
			SecurityOpt: []string{"seccomp=unconfined", "label=type:spc_t"}, GroupAdd: []string{"44"},
		},
	}
	require.Empty(t, broken(p, c))
	c.Network, c.Networks = "team-a", servicedef.Networks{{Name: "backend"}}
	require.Empty(t, broken(p, c))

	c = servicedef.Component{
		Image: "docker.io/evil/postgres:17", User: "root", Network: "frontend", Ports: []string{"9000:80"},
		Volumes: []string{"/srv/x:/x", "/etc:/e", "/data/x:/x:ro,Z", "/proc:/p", "/data/l:/o:O,upperdir=/etc"},
		Container: servicedef.Container{
			CapAdd: []string{"NET_ADMIN"}, Devices: []string{"/dev/ttyS0", "/dev/ttyUSB0/../sda"}, PID: "host", IPC: "host", GroupAdd: []string{"disk", "6"},
			SecurityOpt: []string{"apparmor=unconfined"},
		},
	}
	require.Equal(t, []string{
		"volumes[0]: /srv/x may only be mounted with ro (mounts.read_only_roots, line 3)",
		"volumes[1]: /etc may only be mounted with ro (mounts.read_only_roots, line 3)",
		`volumes[2]: the option "Z" is not of ro, rslave, upperdir, O (mounts.options, line 5)`,
		"volumes[3]: /proc may only be mounted with ro (mounts.read_only_roots, line 3)",
		"volumes[4]: /etc may only be mounted with ro (mounts.read_only_roots, line 3)",
		"image: docker.io/evil/postgres:17 is not of registry.example:5000, docker.io/library, *.trusted.example/base (images.registries, line 8)",
		"network: network frontend is not of backend, team-* (network.names, line 12)",
		"ports[0]: host port 9000 is not of 80, 8000-8999 (network.ports, line 13)",
		`user: "root" must be a number of 1000-1999: what a name stands for is the image's choice (users.uids, line 16)`,
		`user: must name a group by a number of 1000-1999, 44, as in "1000:1000" (users.gids, line 17)`,
		`group_add[0]: "disk" is not a number of 1000-1999, 44 (users.gids, line 17)`,
		`group_add[1]: "6" is not a number of 1000-1999, 44 (users.gids, line 17)`,
		"cap_add[0]: CAP_NET_ADMIN may not be added (privileges.capabilities, line 20)",
		"devices[0]: /dev/ttyS0 is not of /dev/ttyUSB*, vendor.example/net=nic0 (privileges.devices, line 21)",
		`devices[1]: /dev/ttyUSB0/../sda has an element ".." (privileges.devices, line 21)`,
		"security_opt[0]: apparmor=unconfined is not of seccomp=unconfined, label=* (privileges.security_opt, line 22)",
		"ipc: the node's own ipc namespace is not for containers (privileges.namespaces, line 23)",
	}, broken(p, c))

	for user, want := range map[string]int{"": 2, "1000": 1, "1000:1000": 0, "0:0": 2, "1000:0": 1, "0:1000": 1, "+1000:1000": 1, "1999:44": 0, "2000:44": 1, "4294968296:1000": 1} {
		require.Len(t, broken(p, servicedef.Component{User: user}), want, user)
	}
	for image, allowed := range map[string]bool{
		"registry.example:5000/a/b:1": true, "registry.example/a:1": false, "registry.example:5000.evil.example/a:1": false,
		"docker.io/library/x:1": true, "x:1": true, "docker.io/libraryx/x:1": false, "a.trusted.example/base/x:1": true,
		"a.trusted.example/other:1": false, "trusted.example/base:1": false, "eviltrusted.example/base:1": false, "Not An Image": false,
	} {
		require.Equal(t, allowed, len(broken(p, servicedef.Component{Image: image, User: "1000:1000"})) == 0, image)
	}
	judged := p.Judge(policy.Subject{Component: servicedef.Component{User: "1000:1000"}, RoutePorts: []int{80, 22, 10500}, RouteLow: 10000, RouteHigh: 60000})
	require.Len(t, judged, 1)
	require.Contains(t, judged[0].Message, "host port 22")
}

func TestAPolicyIsReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		"[mounts]\nroot = [\"/srv\"]":                              file + ":2: mounts.root: unknown key",
		"\n[mounts]\nroots = \"/srv\"":                             file + ":3: mounts.roots: cannot decode",
		"[mounts]\nroots = [\"srv\", \"/a/../b\"]":                 file + `:2: mounts.roots: must be absolute paths without "..", not "srv"`,
		"[mounts]\noptions = [\"suidd\"]":                          file + `:2: mounts.options: "suidd" is no option of a mount`,
		"[images]\n\nregistries = [\"https://x\"]":                 file + ":3: images.registries: must be hosts",
		"[network]\nports = [\"70000\", \"9-8\"]":                  file + `:2: network.ports: "9-8": must ascend`,
		"[network]\nnames = [\"host\"]":                            file + ":2: network.names: the node's own network is network.host",
		"[users]\nuids = [\"root\"]":                               file + `:2: users.uids: "root": must be a number`,
		"[privileges]\ncapabilities = [\"SYS_ADMN\"]":              file + `:2: privileges.capabilities: "SYS_ADMN" is no capability`,
		"[privileges]\ndevices = [\"sda\"]":                        file + ":2: privileges.devices: must be paths",
		"[privileges]\nsecurity_opt = [\"unconfined\"]":            file + ":2: privileges.security_opt: must be options",
		"[privileges]\nnamespaces = [\"net\"]":                     file + ":2: privileges.namespaces: must be of pid, ipc, user",
		"[privileges]\npids_limit = 0":                             file + ":2: privileges.pids_limit: must be positive",
		"[privileges]\nlog_size = \"much\"":                        file + ":2: privileges.log_size: must be a size",
		"privileges = { log_size = \"-1\" }":                       file + ":1: privileges.log_size: must be a size",
		"[builds]\nsecret_environment = [\"a b\"]":                 file + ":2: builds.secret_environment: must be names",
		"[exec]\nallowed = \"no\"":                                 file + ":2: exec.allowed:",
		"exec = ":                                                  file + ":1: ",
		strings.Repeat("#", policy.MaxSize+1):                      "has more than 256 KiB",
		"[mounts]\nroots = [\"x\"]\n[exec]\n[users]\nuids=[\"x\"]": file + `:5: users.uids`,
	} {
		_, err := policy.Parse([]byte(text), file)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "struct", "no names of Go")
	}
	require.Equal(t, map[string]int{"exec": 2, "exec.allowed": 3, "builds": 4, "builds.allowed": 5},
		parse(t, "# owner: ann\n[exec]\nallowed = false\n[builds]\nallowed = true\n").Lines)
}

func TestAPolicyThatCannotBeUsedForbidsEverything(t *testing.T) {
	p := policy.Broken(file, errors.New("permission denied"))
	for _, found := range [][]policy.Violation{
		p.Judge(policy.Subject{}), p.JudgeExec(), p.JudgeBuild(policy.BuildSubject{Image: "x"}),
	} {
		require.Len(t, found, 1)
		require.Equal(t, "nothing new may run while the policy cannot be used: permission denied", found[0].String())
	}
}

func TestCommandsAndBuilds(t *testing.T) {
	p := parse(t, `[exec]
allowed = false
[builds]
secret_files = ["/run/secrets"]
secret_environment = ["NPM_*"]
[images]
registries = ["registry.example"]
`)
	require.Equal(t, "no command may be run in a container (exec.allowed, line 2)", p.JudgeExec()[0].String())
	var texts []string
	for _, v := range p.JudgeBuild(policy.BuildSubject{
		Image: "registry.example/shop", Bases: []string{"registry.example/go", "docker.io/library/go"}, Unknown: []string{"$BASE"},
		SecretFiles:       map[string]string{"a": "/run/secrets/npm", "b": "/run/secrets/../shadow", "c": "/etc/shadow"},
		SecretEnvironment: map[string]string{"d": "NPM_TOKEN", "e": "TEMPORAL_API_KEY"},
	}) {
		texts = append(texts, v.String())
	}
	require.Equal(t, []string{
		"build.images: docker.io/library/go is not of registry.example (images.registries, line 7)",
		"build.images: $BASE stands for an image that is not known before the build, and so not of registry.example (images.registries, line 7)",
		`build.images.secrets.b: /run/secrets/../shadow has an element ".." (builds.secret_files, line 4)`,
		"build.images.secrets.c: /etc/shadow is not below /run/secrets (builds.secret_files, line 4)",
		"build.images.secrets.e: the variable TEMPORAL_API_KEY is not of NPM_* (builds.secret_environment, line 5)",
	}, texts)
	careful := policy.Careful(file)
	require.Len(t, careful.JudgeBuild(policy.BuildSubject{Image: "x", SecretEnvironment: map[string]string{"a": "NPM_TOKEN", "b": "TEMPORAL_API_KEY"}}), 1,
		"mcp's own variables must be named")
	require.Equal(t, "no image may be built here (builds.allowed, line 1)", parse(t, "builds.allowed = false").JudgeBuild(policy.BuildSubject{})[0].String())
}

// Links are followed on the host, and an engine's socket is known by what it is.
func TestWhatPathsLeadTo(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	for _, name := range []string{"srv/real", "outside", "run/engine"} {
		require.NoError(t, os.MkdirAll(at(name), 0o755))
	}
	require.NoError(t, os.WriteFile(at("run/engine/engine.sock"), nil, 0o600))
	for link, target := range map[string]string{
		"srv/out": at("outside"), "srv/root": "/", "srv/proc": "/proc", "srv/in": "real", "srv/chain": "out", "srv/socket": at("run/engine/engine.sock"),
		"srv/nowhere": at("gone"), "srv/loop": "loop", "link-to-srv": "srv", "srv/dev": "/dev",
	} {
		require.NoError(t, os.Symlink(target, at(link)))
	}
	require.NoError(t, os.Link(at("run/engine/engine.sock"), at("srv/hard")))
	host := node.Policies{Sockets: []string{"unix://" + at("run/engine/engine.sock")}}
	p := parse(t, `mounts.roots = ["`+at("srv")+`", "`+at("run")+`"]
privileges.devices = ["/dev/null", "`+at("srv")+`/*"]
`)
	for source, want := range map[string]string{
		"srv": "", "srv/real": "", "srv/in": "", "srv/in/new/dir": "", "link-to-srv/real": "is not below",
		"srv/out": "which leads to " + at("outside"), "srv/chain": "which leads to " + at("outside"), "srv/out/x": "is not below",
		"srv/root": "socket of a container engine", "srv/proc": "is the kernel's own", "srv/proc/1": "is the kernel's own", "srv/dev": "kernel's own",
		"srv/socket": "socket of a container engine", "srv/hard": "the socket of a container engine", "run": "contains the socket", "run/engine": "contains the socket",
		"srv/nowhere": "link to what does not exist", "srv/loop": "too many links", "srv/nowhere/x": "link to what does not exist",
	} {
		found := p.Judge(policy.Subject{Component: servicedef.Component{Volumes: []string{at(source) + ":/x"}}, Host: host.Place})
		if want == "" {
			require.Empty(t, found, source)
			continue
		}
		require.Len(t, found, 1, source)
		require.Contains(t, found[0].Message, want, source)
	}
	for device, want := range map[string]string{"/dev/null": "", at("srv/dev/sda"): "is not of", at("srv/root"): "leads to /", at("srv/real"): ""} {
		found := p.Judge(policy.Subject{Component: servicedef.Component{Container: servicedef.Container{Devices: []string{device}}}, Host: host.Place})
		require.Equal(t, want == "", len(found) == 0, device)
		if want != "" {
			require.Contains(t, found[0].Message, want)
		}
	}
	linked := parse(t, `mounts.roots = ["`+at("link-to-srv")+`"]`)
	require.Empty(t, linked.Judge(policy.Subject{Component: servicedef.Component{Volumes: []string{at("link-to-srv/real") + ":/x"}}, Host: host.Place}),
		"a root may be a link of its owner")
}

func TestWhatANodeAnswersIsBounded(t *testing.T) {
	p := policy.Careful(strings.Repeat("f", 10_000))
	for range 5000 {
		p.Mounts.Roots = append(p.Mounts.Roots, strings.Repeat("r", 10_000))
	}
	p.Lines = map[string]int{"mounts.roots": 3, "other": 1, "exec.allowed": -1}
	checked := p.Checked()
	require.Len(t, checked.File, 4096)
	require.Len(t, checked.Mounts.Roots, 1000)
	require.Len(t, checked.Mounts.Roots[999], 4096)
	require.Equal(t, map[string]int{"mounts.roots": 3}, checked.Lines)
	require.Len(t, policy.CheckedViolations(make([]policy.Violation, 2000)), 1000)
}

func TestRulesNamesEveryKey(t *testing.T) {
	rules := parse(t, "[exec]\nallowed = false\n").Rules()
	require.Len(t, rules, len(policy.Keys))
	for i, rule := range rules {
		require.Equal(t, policy.Keys[i], rule.Key)
		require.NotEmpty(t, rule.Value)
	}
	require.Contains(t, rules, policy.Rule{Key: "exec.allowed", Value: "false", Line: 2})
}
