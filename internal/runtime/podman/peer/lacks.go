package peer

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/linux"
)

// Lacks returns what podman, which info describes, or its host lacks of what a container's
// settings ask for. FilesDir is the directory of the host with the files of containers; ""
// for none.
func (p Process) Lacks(info runtime.EngineInfo, filesDir string, spec runtime.ContainerSpec) []runtime.Lack {
	l := &lacking{info: info, host: p, spec: spec.Container}
	l.controllers(spec)
	l.ulimits()
	l.capabilities()
	l.devices()
	l.security()
	l.kernel()
	l.gateway()
	l.logging()
	l.files(filesDir)
	return l.found
}

// lacking collects what an engine lacks.
type lacking struct {
	info  runtime.EngineInfo
	host  Process
	spec  servicedef.Container
	found []runtime.Lack
}

func (l *lacking) add(key, hint, reason string, args ...any) {
	l.found = append(l.found, runtime.Lack{Key: key, Reason: fmt.Sprintf(reason, args...), Hint: hint})
}

// controllers finds limits that the engine has no control group for.
func (l *lacking) controllers(spec runtime.ContainerSpec) {
	for _, limit := range []struct {
		key, controller string
		set             bool
	}{
		{"memory", "memory", spec.Memory > 0}, {"cpus", "cpu", spec.CPUs > 0}, {"pids_limit", "pids", l.spec.PidsLimit != 0},
	} {
		if limit.set && len(l.info.Controllers) > 0 && !slices.Contains(l.info.Controllers, limit.controller) {
			l.add(limit.key, "delegate the controller to the user who runs podman, or leave the key out",
				"may not use the controller %s of control groups", limit.controller)
		}
	}
}

// ulimits finds limits above those that the engine may set.
func (l *lacking) ulimits() {
	if !l.host.known {
		return
	}
	privileged := !l.info.Rootless && l.host.may(unix.CAP_SYS_RESOURCE)
	for _, name := range slices.Sorted(maps.Keys(l.spec.Ulimits)) {
		wanted := uint64(l.spec.Ulimits[name].Hard)
		if l.spec.Ulimits[name].Hard == servicedef.Unlimited {
			wanted = math.MaxUint64
		}
		most, known := l.host.all[name]
		if privileged {
			most, known = l.openFiles(), name == "nofile"
		}
		if known && wanted > most {
			l.add("ulimits."+name, fmt.Sprintf("ask for %d at most, or raise the limit of podman's service there: LimitNOFILE and its like in its unit", most),
				"may set %s to %d at most", name, most)
		}
	}
}

// openFiles is the kernel's bound of open files of a process.
func (l *lacking) openFiles() uint64 {
	text, err := os.ReadFile(filepath.Join(l.host.root, "proc/sys/fs/nr_open"))
	if err != nil || l.host.root == "" {
		return math.MaxUint64
	}
	most, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	return most
}

// capabilities finds those that the engine does not have itself. An engine of a user
// grants any, in the user's own namespace.
func (l *lacking) capabilities() {
	if l.info.Rootless {
		return
	}
	for _, name := range l.spec.CapAdd {
		number, known := capabilityNumbers[linux.Capability(name)]
		if known && !l.host.may(number) {
			l.add("cap_add", "leave it out, or let podman's service there have it", "does not have %s itself", linux.Capability(name))
		}
	}
}

// capabilityNumbers are Linux's, in the order of linux/capability.h.
var capabilityNumbers = func() map[string]int {
	numbers := map[string]int{}
	for i, name := range []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
		"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
		"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
		"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
		"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
		"CHECKPOINT_RESTORE",
	} {
		numbers["CAP_"+name] = i
	}
	return numbers
}()

// devices finds devices that the host does not have, or has not described.
func (l *lacking) devices() {
	for _, text := range l.spec.Devices {
		source, _, _ := strings.Cut(text, ":")
		switch {
		case servicedef.IsCDI(text):
			l.cdi("devices", text)
		case !l.host.exists(source):
			l.add("devices", "place the component on the node that has the device", "has no device %s", source)
		}
	}
	for _, name := range l.spec.GPUDevices() {
		l.cdi("gpus", name)
	}
}

// cdiDirs are where descriptions of CDI devices are, unless podman is configured
// otherwise.
var cdiDirs = []string{"/etc/cdi", "/var/run/cdi", "/run/cdi"}

// cdi finds a device that no file describes. The files are those of the vendor's tools:
// the kind, the part of the name before "=", is in each.
func (l *lacking) cdi(key, name string) {
	if l.host.root == "" {
		return
	}
	kind, _, _ := strings.Cut(name, "=")
	for _, dir := range cdiDirs {
		files, _ := filepath.Glob(filepath.Join(l.host.root, dir, "*")) // the pattern is sound
		for _, file := range files {
			if text, err := readBounded(file); err == nil && strings.Contains(text, kind) {
				return
			}
		}
	}
	hint := "install the vendor's tool that describes it in /etc/cdi"
	if strings.HasPrefix(kind, "nvidia.com/") {
		hint = "install NVIDIA's container toolkit there, and run nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
	}
	l.add(key, hint, "has no description of the device %s (CDI)", name)
}

// security finds options for what the host does not enforce.
func (l *lacking) security() {
	for _, option := range l.spec.SecurityOpt {
		name, value := servicedef.SecurityOption(option)
		switch {
		case name == "apparmor" && value != "unconfined" && !l.info.AppArmor:
			l.add("security_opt", "leave the option out", "has no AppArmor for %q", option)
		case name == "label" && value != "disable" && !l.info.SELinux:
			l.add("security_opt", "leave the option out", "has no SELinux for %q", option)
		case name == "seccomp" && value != "unconfined" && !l.info.Seccomp:
			l.add("security_opt", "leave the option out", "has no seccomp for %q", option)
		case name == "seccomp" && value != "unconfined" && !l.host.exists(value):
			l.add("security_opt", "install the profile on that node", "has no profile %s", value)
		}
	}
	mode, _, _ := strings.Cut(l.spec.Userns, ":")
	switch {
	case (mode == "keep-id" || mode == "nomap") && !l.info.Rootless:
		l.add("userns", `use userns = "auto", or a node whose podman a user runs`, "is root's, and %q is for that of a user", mode)
	case mode == "auto" && !l.info.Rootless && !l.subordinates():
		l.add("userns", "add a line such as containers:2147483647:2147483648 to /etc/subuid and /etc/subgid there",
			`has no ids for userns = "auto"`)
	}
	if l.spec.Init && !l.initProgram() {
		l.add("init", "install catatonit on that node, or leave the key out", "has no init program")
	}
}

// subordinates reports whether the host has ids for automatic namespaces of root's podman.
func (l *lacking) subordinates() bool {
	if l.host.root == "" {
		return true
	}
	text, err := readBounded(filepath.Join(l.host.root, "etc/subuid"))
	return err == nil && (strings.HasPrefix(text, "containers:") || strings.Contains(text, "\ncontainers:"))
}

// initPrograms are where podman looks for its init.
var initPrograms = []string{
	"/usr/libexec/podman/catatonit", "/usr/local/libexec/podman/catatonit", "/usr/local/lib/podman/catatonit",
	"/usr/lib/podman/catatonit", "/usr/bin/catatonit",
}

// initPath matches the setting of another init.
var initPath = regexp.MustCompile(`(?m)^\s*init_path\s*=`)

func (l *lacking) initProgram() bool {
	if l.host.root == "" || slices.ContainsFunc(initPrograms, l.host.exists) {
		return true
	}
	configured := []string{"/usr/share/containers/containers.conf", "/etc/containers/containers.conf"}
	if environ, err := readBounded(path.Join(path.Dir(l.host.root), "environ")); err == nil {
		for variable := range strings.SplitSeq(environ, "\x00") {
			if file, is := strings.CutPrefix(variable, "CONTAINERS_CONF="); is {
				configured = append(configured, file)
			}
		}
	}
	return slices.ContainsFunc(configured, func(file string) bool {
		text, err := readBounded(filepath.Join(l.host.root, file))
		return err == nil && initPath.MatchString(text)
	})
}

// kernel finds settings that the kernel does not have.
func (l *lacking) kernel() {
	for _, name := range slices.Sorted(maps.Keys(l.spec.Sysctls)) {
		file := name
		if !strings.Contains(name, "/") {
			file = strings.ReplaceAll(name, ".", "/")
		}
		if !l.host.exists("/proc/sys/" + file) {
			l.add("sysctls."+name, "leave the setting out, or correct its name", "has a kernel without it")
		}
	}
}

// gatewaySince is the first version of podman that supports host-gateway.
var gatewaySince = []int{4, 7}

// gateway finds host-gateway if podman would write it into /etc/hosts as it is.
func (l *lacking) gateway() {
	for _, text := range l.spec.ExtraHosts {
		if _, address := servicedef.ExtraHost(text); address == "host-gateway" && !l.since(gatewaySince) {
			l.add("extra_hosts", "use the name host.containers.internal, which podman gives to the node in every container",
				"is %s, which does not know host-gateway", l.info.Version)
		}
	}
}

// since reports whether podman has a version or a later one; true if that is unknown.
func (l *lacking) since(version []int) bool {
	var have [2]int
	if n, err := fmt.Sscanf(l.info.Version, "podman %d.%d", &have[0], &have[1]); err != nil || n != 2 {
		return true
	}
	return slices.Compare(have[:], version) >= 0
}

// logging finds a driver that podman does not have.
func (l *lacking) logging() {
	driver := l.spec.LogDriver
	if driver == "json-file" { // podman's name for its k8s-file, which it does not list
		driver = "k8s-file"
	}
	if driver != "" && len(l.info.LogDrivers) > 0 && !slices.Contains(l.info.LogDrivers, driver) {
		l.add("log_driver", "use one of "+strings.Join(l.info.LogDrivers, ", "), "has no log driver %s", l.spec.LogDriver)
	}
}

// files finds files that this process could not make.
func (l *lacking) files(dir string) {
	for _, f := range l.spec.Files {
		switch {
		case dir == "":
			l.add("files", "set data in [node] of mcp.toml there", "has no directory for files")
			return
		case os.Geteuid() != 0 && (f.UID != 0 || f.GID != 0):
			l.add("files", "leave uid and gid out, or use a node whose podman root runs", "is a user's, who cannot give %s to %d:%d", f.Target, f.UID, f.GID)
			return
		}
	}
}

// largestRead bounds what is read of a file of the host.
const largestRead = 1 << 20

// readBounded reads a file that has at most largestRead bytes.
func readBounded(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > largestRead {
		return "", os.ErrInvalid
	}
	text, err := os.ReadFile(file)
	return string(text), err
}
