package podman_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

// settingsRig is a podman with the test program.
type settingsRig struct {
	*podman.Engine
	socket, data string
}

func newSettingsRig(t *testing.T) *settingsRig {
	t.Helper()
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	r := &settingsRig{socket: service.Socket(), data: filepath.Join(t.TempDir(), "data")}
	r.Engine = podman.New(service.Socket()).FilesIn(r.data)
	buildApp(t, r.Engine)
	return r
}

// run runs the test program with settings, which sleeps unless the spec says otherwise.
func (r *settingsRig) run(t *testing.T, spec runtime.ContainerSpec) {
	t.Helper()
	spec.Image, spec.Name = "localhost/app:v1", "set"
	if len(spec.Command) == 0 && len(spec.Container.Entrypoint) == 0 {
		spec.Command = []string{"/app", "sleep", "1h"}
	}
	_, err := r.Run(t.Context(), spec)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Remove(context.Background(), "set")) })
}

// app runs the test program in the container and returns what it prints.
func (r *settingsRig) app(t *testing.T, args ...string) string {
	t.Helper()
	result, err := r.Exec(t.Context(), "set", append([]string{"/app"}, args...))
	require.NoError(t, err)
	return strings.TrimSpace(result.Output())
}

// status returns a field of /proc/1/status in the container.
func (r *settingsRig) status(t *testing.T, field string) string {
	t.Helper()
	for line := range strings.SplitSeq(r.app(t, "cat", "/proc/1/status"), "\n") {
		if value, is := strings.CutPrefix(line, field+":"); is {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// inspectedSettings is the part of podman's description that the tests check.
type inspectedSettings struct {
	Config struct {
		WorkingDir string
		Entrypoint any // a text, or since podman 5 an array
		Labels     map[string]string
		StopSignal any // a number, or since podman 5 a name
	}
	HostConfig struct {
		ReadonlyRootfs bool
		PidsLimit      int64
		DNS            []string `json:"Dns"`
		PidMode        string
		LogConfig      struct{ Type string }
	}
	EffectiveCaps []string
	Mounts        []inspectedMount
}

type inspectedMount struct {
	Destination, Propagation string
	RW                       bool
}

func (r *settingsRig) inspected(t *testing.T) inspectedSettings {
	t.Helper()
	var found inspectedSettings
	require.NoError(t, ask(r.socket, "containers/set/json", &found))
	return found
}

func TestSettingsReachTheEngineAndTheProgram(t *testing.T) {
	r := newSettingsRig(t)

	t.Run("entrypoint, workdir, labels and stop_signal", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{
			Labels: map[string]string{"team": "shop"}, Command: []string{"1h"},
			Container: servicedef.Container{Entrypoint: []string{"/app", "sleep"}, Workdir: "/proc", StopSignal: "SIGUSR2"},
		})
		found := r.inspected(t)
		require.Contains(t, found.Config.Entrypoint, "/app")
		require.Equal(t, "/proc", found.Config.WorkingDir)
		require.Equal(t, "shop", found.Config.Labels["team"])
		require.Contains(t, []any{float64(12), "SIGUSR2"}, found.Config.StopSignal)
		require.Contains(t, r.app(t, "link", "/proc/1/cwd"), "/proc <nil>")
		require.Equal(t, "/app\x00sleep\x001h\x00", r.app(t, "cat", "/proc/1/cmdline"))
	})

	t.Run("an entrypoint replaces the image's command", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{Entrypoint: []string{"/app", "sleep", "2h"}}})
		require.Equal(t, "/app\x00sleep\x002h\x00", r.app(t, "cat", "/proc/1/cmdline"))
	})

	t.Run("hostname, extra_hosts, dns, dns_search and dns_opt", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{
			Hostname: "db-1", ExtraHosts: []string{"a.example:10.1.2.3", "six=[fd00::7]"},
			DNS: servicedef.Strings{"10.9.9.9"}, DNSSearch: servicedef.Strings{"corp.example"}, DNSOpt: []string{"ndots:3"},
		}})
		require.Equal(t, "db-1 <nil>", r.app(t, "name"))
		hosts, resolv := r.app(t, "cat", "/etc/hosts"), r.app(t, "cat", "/etc/resolv.conf")
		require.Regexp(t, `10\.1\.2\.3\s+a\.example`, hosts)
		require.Regexp(t, `fd00::7\s+six`, hosts)
		require.Regexp(t, `search .*corp\.example`, resolv)
		require.Regexp(t, `options .*ndots:3`, resolv)
		require.Contains(t, resolv, "nameserver 10.9.9.9")
		require.Equal(t, []string{"10.9.9.9"}, r.inspected(t).HostConfig.DNS)
	})

	t.Run("tmpfs, shm_size and read_only", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{
			ReadOnly: true, Tmpfs: servicedef.Strings{"/scratch:size=4m,mode=1777", "/plain"}, ShmSize: "8m",
		}})
		mounts := r.app(t, "cat", "/proc/1/mountinfo")
		require.Regexp(t, `/scratch .*tmpfs .*size=4096k`, mounts)
		require.Regexp(t, `/dev/shm .*size=8192k`, mounts)
		require.Contains(t, r.app(t, "write", "/file"), "read-only file system")
		require.Contains(t, r.app(t, "write", "/run/file"), "read-only file system", "Compose's read_only has no exceptions")
		require.Empty(t, r.app(t, "write", "/scratch/file"))
		require.Empty(t, r.app(t, "write", "/plain/file"))
		require.True(t, r.inspected(t).HostConfig.ReadonlyRootfs)
	})

	t.Run("ulimits and pids_limit", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{
			Ulimits:   map[string]servicedef.Ulimit{"nofile": {Soft: 222, Hard: 222}, "msgqueue": {Soft: 111, Hard: 333}, "core": {}},
			PidsLimit: 77,
		}})
		limits := r.app(t, "cat", "/proc/1/limits")
		require.Regexp(t, `Max open files\s+222\s+222 `, limits)
		require.Regexp(t, `Max msgqueue size\s+111\s+333 `, limits)
		require.Regexp(t, `Max core file size\s+0\s+0 `, limits)
		require.EqualValues(t, 77, r.inspected(t).HostConfig.PidsLimit)
	})

	t.Run("a single limit leaves the others as they are", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{Ulimits: map[string]servicedef.Ulimit{"core": {}}}})
		require.Regexp(t, `Max core file size\s+0\s+0 `, r.app(t, "cat", "/proc/1/limits"))
	})

	t.Run("cap_add, cap_drop, security_opt, user and group_add", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{
			CapDrop: []string{"ALL"}, CapAdd: []string{"net_admin"}, GroupAdd: []string{"4321"},
			SecurityOpt: []string{"no-new-privileges", "seccomp=unconfined", "mask=/proc/version", "unmask=/proc/kcore"},
		}})
		require.Equal(t, "0000000000001000", r.status(t, "CapEff"), "CAP_NET_ADMIN is the twelfth")
		require.Equal(t, "1", r.status(t, "NoNewPrivs"))
		require.Equal(t, "0", r.status(t, "Seccomp"))
		require.Contains(t, " "+r.status(t, "Groups")+" ", " 4321 ")
		require.Empty(t, r.app(t, "cat", "/proc/version"), "it is masked")
		require.Equal(t, []string{"CAP_NET_ADMIN"}, r.inspected(t).EffectiveCaps)
	})

	t.Run("what a definition does not ask for", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{})
		require.Equal(t, "00000000000004fb", r.status(t, "CapEff"), "policy.BaseCapabilities")
		require.Equal(t, "00000000000004fb", r.status(t, "CapBnd"))
		require.Equal(t, "1", r.status(t, "NoNewPrivs"))
		require.Equal(t, "2", r.status(t, "Seccomp"), "a filter")
		require.EqualValues(t, 2048, r.inspected(t).HostConfig.PidsLimit)
		require.Equal(t, policy.BaseCapabilities, r.inspected(t).EffectiveCaps)
	})

	t.Run("what a program that is not root's gets", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{User: "1000"})
		require.Equal(t, "0000000000000000", r.status(t, "CapEff"), "none")
	})

	t.Run("what a definition asks for beyond", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{
			CapAdd: []string{"net_raw"}, CapDrop: []string{"CHOWN"}, SecurityOpt: []string{"no-new-privileges=false"},
		}})
		require.Equal(t, "00000000000024fa", r.status(t, "CapEff"))
		require.Equal(t, "0", r.status(t, "NoNewPrivs"))
	})

	t.Run("pid, ipc and userns of the host", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{PID: "host", IPC: "host", Userns: "host"}})
		for _, kind := range []string{"pid", "ipc", "user"} {
			ours, err := os.Readlink("/proc/self/ns/" + kind)
			require.NoError(t, err)
			require.Contains(t, r.app(t, "link", "/proc/self/ns/"+kind), ours)
		}
		require.Equal(t, "host", r.inspected(t).HostConfig.PidMode)
	})

	t.Run("sysctls", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{
			Sysctls: servicedef.Sysctls{"net.core.somaxconn": "77", "net/ipv4/ip_default_ttl": "33"}, IPC: "private",
		}})
		require.Equal(t, "77", r.app(t, "cat", "/proc/sys/net/core/somaxconn"))
		require.Equal(t, "33", r.app(t, "cat", "/proc/sys/net/ipv4/ip_default_ttl"))
	})

	t.Run("devices", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{Devices: []string{"/dev/kmsg:/dev/nought:r"}}})
		require.NotContains(t, r.app(t, "stat", "/dev/nought"), "no such")
		require.Contains(t, r.app(t, "write", "/dev/nought"), "not permitted", "it may only be read")
	})

	t.Run("log_driver", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Container: servicedef.Container{LogDriver: "none"}, LogSize: 1 << 20})
		require.Equal(t, "none", r.inspected(t).HostConfig.LogConfig.Type)
		_, err := runtime.LastLines(t.Context(), r, "set", 1, 100)
		f := fault.Of(err)
		require.Equal(t, fault.Invalid, f.Kind, f)
		require.Contains(t, f.Message, "'none' log driver")
	})

	t.Run("options of a mount", func(t *testing.T) {
		r.run(t, runtime.ContainerSpec{Volumes: []string{"/:/host:ro,rslave"}})
		require.Contains(t, r.inspected(t).Mounts, inspectedMount{Destination: "/host", Propagation: "rslave"})
		require.Contains(t, r.app(t, "write", "/host/tmp/x"), "read-only file system")
	})

	t.Run("target, owner and mode of a secret", func(t *testing.T) {
		for _, name := range []string{"plain", "other", "key"} {
			addSecret(t, r.socket, name, "hush")
		}
		r.run(t, runtime.ContainerSpec{Secrets: []servicedef.Secret{
			{Source: "plain"}, {Source: "other", Target: "renamed"}, {Source: "key", Target: "/etc/tls/key.pem", UID: 1000, GID: 1001, Mode: "0400"},
		}})
		for file, owner := range map[string]string{"/run/secrets/plain": "0444 0:0", "/run/secrets/renamed": "0444 0:0", "/etc/tls/key.pem": "0400 1000:1001"} {
			require.Equal(t, owner, r.app(t, "stat", file), file)
			require.Equal(t, "hush", r.app(t, "cat", file), file)
		}
	})
}

// The init program is the first of the container, and starts the component's.
func TestAnInitStartsTheProgram(t *testing.T) {
	program := filepath.Join(contract.BuildApp(t), "app")
	service, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: t.TempDir(), Private: true, Init: program})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	r := &settingsRig{Engine: podman.New(service.Socket()), socket: service.Socket()}
	buildApp(t, r.Engine)
	require.Empty(t, lacksOf(t, r, servicedef.Container{Init: true}))
	r.run(t, runtime.ContainerSpec{Container: servicedef.Container{Init: true}})
	require.Regexp(t, "^(/dev/init|/run/podman-init)\x00--\x00/app\x00sleep\x001h\x00$", r.app(t, "cat", "/proc/1/cmdline"))
}

// A device that a vendor describes is asked for by its name, as GPUs are.
func TestACDIDeviceReachesTheProgram(t *testing.T) {
	r := newSettingsRig(t)
	const dir = "/var/run/cdi"
	require.NoError(t, os.MkdirAll(dir, 0o755))
	vendor := fmt.Sprintf("mcp-test-%d.example", os.Getpid())
	file := filepath.Join(dir, vendor+".json")
	settings := servicedef.Container{Devices: []string{vendor + "/net=nic0"}}
	require.Len(t, lacksOf(t, r, settings), 1)
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `{"cdiVersion": "0.3.0", "kind": "%s/net", "devices": [
		{"name": "nic0", "containerEdits": {"env": ["NIC=zero"], "deviceNodes": [{"path": "/dev/nic0", "hostPath": "/dev/zero", "type": "c", "major": 1, "minor": 5}]}}
	]}`, vendor), 0o644))
	t.Cleanup(func() { require.NoError(t, os.Remove(file)) })
	require.Empty(t, lacksOf(t, r, settings))
	r.run(t, runtime.ContainerSpec{Container: settings})
	require.Contains(t, r.app(t, "cat", "/proc/1/environ"), "NIC=zero")
	require.Regexp(t, `^\d{4} 0:0$`, r.app(t, "stat", "/dev/nic0"))
}

// Files belong to their containers: they cannot be written, they are there after a
// restart, and they go with the last container that has them.
func TestFiles(t *testing.T) {
	r := newSettingsRig(t)
	spec := runtime.ContainerSpec{
		Image: "localhost/app:v1", Command: []string{"/app", "sleep", "1h"}, Labels: map[string]string{"mcp.spec": "1"},
		Container: servicedef.Container{ReadOnly: true, Files: []servicedef.File{
			{Target: "/etc/app.conf", Content: "debug = false\n", Mode: "0440", UID: 1000, GID: 1001},
			{Target: "/data.bin", Base64: "AAEC"},
		}},
	}
	start := func(name, content string) {
		spec.Name = name
		spec.Container.Files = append([]servicedef.File{}, spec.Container.Files...)
		spec.Container.Files[0].Content = content
		_, err := r.Run(t.Context(), spec)
		require.NoError(t, err)
		_, err = r.Run(t.Context(), spec)
		require.NoError(t, err, "a second time")
	}
	kept := func() int {
		files, err := filepath.Glob(filepath.Join(r.data, "files", "*", "*"))
		require.NoError(t, err)
		return len(files)
	}
	start("set", "debug = false\n")
	require.Equal(t, "debug = false", r.app(t, "cat", "/etc/app.conf"))
	require.Equal(t, "0440 1000:1001", r.app(t, "stat", "/etc/app.conf"))
	require.Equal(t, "\x00\x01\x02", r.app(t, "cat", "/data.bin"))
	require.Contains(t, r.app(t, "write", "/etc/app.conf"), "read-only file system")

	start("set.next", "debug = true\n")
	require.Equal(t, 3, kept(), "the two have one file in common")
	require.Equal(t, "debug = false", r.app(t, "cat", "/etc/app.conf"))
	require.NoError(t, r.Stop(t.Context(), "set", 0))
	require.NoError(t, r.Start(t.Context(), "set"))
	require.Equal(t, "debug = false", r.app(t, "cat", "/etc/app.conf"))

	require.NoError(t, r.Remove(t.Context(), "set.next"))
	require.Equal(t, 2, kept())
	dir, err := filepath.Glob(filepath.Join(r.data, "files", "*"))
	require.NoError(t, err)
	info, err := os.Stat(dir[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, r.Remove(t.Context(), "set"))
	require.Zero(t, kept())

	require.NoError(t, os.Chmod(dir[0], 0o777))
	spec.Name = "open"
	_, err = r.Run(t.Context(), spec)
	require.ErrorContains(t, err, "can be written by others")
}

// Without a directory there are no files, and the error says what to set.
func TestFilesNeedADirectory(t *testing.T) {
	r := newSettingsRig(t)
	_, err := r.FilesIn("").Run(t.Context(), runtime.ContainerSpec{
		Name: "none", Image: "localhost/app:v1", Container: servicedef.Container{Files: []servicedef.File{{Target: "/a"}}},
	})
	f := fault.Of(err)
	require.Equal(t, fault.Invalid, f.Kind, f)
	require.Contains(t, f.Hint, "[node]")
}

// What this host lacks is known before anything is created, by the key of the definition.
func TestTheEngineSaysWhatItLacks(t *testing.T) {
	r := newSettingsRig(t)
	lacks := func(c servicedef.Container) map[string]string {
		found, err := r.Lacks(t.Context(), runtime.ContainerSpec{Container: c, Memory: 64 << 20, CPUs: 1})
		require.NoError(t, err)
		by := map[string]string{}
		for _, lack := range found {
			by[lack.Key] = lack.Reason
			require.NotEmpty(t, lack.Hint, lack.Key)
		}
		return by
	}
	require.Empty(t, lacks(servicedef.Container{
		Ulimits: map[string]servicedef.Ulimit{"nofile": {Soft: 10, Hard: 10}}, CapAdd: []string{"NET_ADMIN", "ALL"}, PidsLimit: 10,
		SecurityOpt: []string{"seccomp=unconfined", "apparmor=unconfined", "label=disable", "no-new-privileges"}, Userns: "host",
		Sysctls: servicedef.Sysctls{"net.core.somaxconn": "1"}, Devices: []string{"/dev/null"}, LogDriver: "json-file",
		Files: []servicedef.File{{Target: "/a", UID: 1000}},
	}))
	found := lacks(servicedef.Container{
		Ulimits: map[string]servicedef.Ulimit{"nofile": {Soft: 10, Hard: 1 << 62}, "core": {}}, GPUs: servicedef.Strings{"all"},
		SecurityOpt: []string{"apparmor=web", "seccomp=/no/such/profile.json"}, Userns: "keep-id",
		ExtraHosts: []string{"gate:host-gateway"},
		Sysctls:    servicedef.Sysctls{"net.no.such": "1"}, Devices: []string{"/dev/nosuchdevice", "vendor.example/net=nic0"},
	})
	require.Contains(t, found["ulimits.nofile"], "may set nofile to ")
	require.Contains(t, found["gpus"], "nvidia.com/gpu=all")
	require.Contains(t, found["userns"], "keep-id")
	require.Contains(t, found["sysctls.net.no.such"], "kernel")
	require.Contains(t, found, "devices")
	require.Contains(t, found, "security_opt")
	version, err := r.Version(t.Context())
	require.NoError(t, err)
	if strings.HasPrefix(version, "podman 4.3") {
		require.Contains(t, found["extra_hosts"], "does not know host-gateway")
		delete(found, "extra_hosts")
	}
	require.Len(t, found, 6)
}

// A setting that podman refuses is Invalid, and not a defect.
func TestARefusedSettingIsInvalid(t *testing.T) {
	r := newSettingsRig(t)
	for name, settings := range map[string]servicedef.Container{
		"a limit above the engine's": {Ulimits: map[string]servicedef.Ulimit{"nofile": {Soft: 10, Hard: 1 << 62}}},
		"a device that is missing":   {Devices: []string{"/dev/nosuchdevice"}},
		"a GPU without CDI":          {GPUs: servicedef.Strings{"all"}},
		"an unknown sysctl":          {Sysctls: servicedef.Sysctls{"net.no.such": "1"}},
		"an unknown group":           {GroupAdd: []string{"nosuchgroup"}},
		"a missing workdir":          {Workdir: "/no/such/directory"},
		"a missing profile":          {SecurityOpt: []string{"seccomp=/no/such/profile.json"}},
		"keep-id of root":            {Userns: "keep-id"},
		"an init that is missing":    {Init: true},
	} {
		t.Run(name, func(t *testing.T) {
			if settings.Init && len(lacksOf(t, r, settings)) == 0 {
				settings = servicedef.Container{Devices: []string{"/dev/none"}} // this host has one
			}
			_, err := r.Run(t.Context(), runtime.ContainerSpec{Name: "refused", Image: "localhost/app:v1", Command: []string{"/app", "sleep", "1s"}, Container: settings, StopTimeout: time.Second})
			require.Equal(t, fault.Invalid, fault.Of(err).Kind, "%v", err)
		})
	}
}

func lacksOf(t *testing.T, r *settingsRig, c servicedef.Container) []runtime.Lack {
	t.Helper()
	found, err := r.Lacks(t.Context(), runtime.ContainerSpec{Container: c})
	require.NoError(t, err)
	return found
}
