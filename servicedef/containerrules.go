package servicedef

import (
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/docker/go-units"

	"github.com/metacircular/mcp/servicedef/linux"
)

// container checks the settings that the engine applies.
func (r *report) container(key string, c Component) {
	r.process(key, c)
	r.isolation(key, c)
	r.namespaces(key, c)
	r.resolution(key, c)
	r.devices(key, c)
	r.files(joinKey(key, "files"), c.Files)
	r.tmpfs(joinKey(key, "tmpfs"), c.Tmpfs)
	r.mounts(key, c)
	r.logging(key, c)
}

// process checks how the program is started and ended.
func (r *report) process(key string, c Component) {
	at := func(name string) string { return joinKey(key, name) }
	for i, argument := range c.Entrypoint {
		r.argument(elementKey(at("entrypoint"), i), argument)
	}
	if len(c.Entrypoint) > 0 && c.Entrypoint[0] == "" {
		r.add(at("entrypoint"), "must begin with a program")
	}
	if c.Workdir != "" && !path.IsAbs(c.Workdir) {
		r.add(at("workdir"), "must be an absolute path, not %q", c.Workdir)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		switch {
		case name == "" || strings.ContainsAny(name, "= \t\n"):
			r.add(joinKey(at("labels"), name), `must be the name of a label, without "=" and spaces`)
		case strings.HasPrefix(name, "mcp."):
			r.add(joinKey(at("labels"), name), "begins with mcp., as the labels that mcp sets itself do")
		}
	}
	if c.StopSignal != "" && !linux.KnownSignal(c.StopSignal) {
		r.add(at("stop_signal"), `must be the name of a signal, such as "SIGQUIT" or "SIGRTMIN+3", not %q`, c.StopSignal)
	}
	if c.Init && c.PID == networkHost {
		r.add(at("init"), `cannot be the first process with pid = "host"`)
	}
	for i, group := range c.GroupAdd {
		switch {
		case group == "keep-groups":
			r.add(elementKey(at("group_add"), i), `"keep-groups" is for the user who starts a container by hand`)
		case group == "" || strings.ContainsAny(group, " \t:"):
			r.add(elementKey(at("group_add"), i), "must be the name or the id of a group, not %q", group)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Ulimits)) {
		limit := c.Ulimits[name]
		switch {
		case !slices.Contains(linux.Ulimits, name):
			r.add(joinKey(at("ulimits"), name), "is no limit of Linux%s", didYouMean(name, linux.Ulimits))
		case limit.Soft < Unlimited || limit.Hard < Unlimited:
			r.add(joinKey(at("ulimits"), name), "must not be negative")
		case limit.Hard != Unlimited && (limit.Soft == Unlimited || limit.Soft > limit.Hard):
			r.add(joinKey(at("ulimits"), name), "has a soft limit above its hard limit")
		case name == "nofile" && limit.Hard == Unlimited:
			r.add(joinKey(at("ulimits"), name), "must be a number: Linux has no unlimited nofile")
		}
	}
	switch n := c.PidsLimit; {
	case n < Unlimited:
		r.add(at("pids_limit"), "must be positive, or -1 for no limit")
	case n > linux.MaxPids:
		r.add(at("pids_limit"), "must be at most %d, Linux's own limit", linux.MaxPids)
	}
	if size, err := units.RAMInBytes(c.ShmSize); c.ShmSize != "" && (err != nil || size < minShm) {
		r.add(at("shm_size"), `must be a size of at least "64k", such as "128m", not %q`, c.ShmSize)
	}
}

// minShm is the least size of /dev/shm, in bytes.
const minShm = 64 << 10

// isolation checks what the program may do.
func (r *report) isolation(key string, c Component) {
	dropped := map[string]bool{}
	for _, list := range []struct {
		key   string
		names []string
	}{{"cap_drop", c.CapDrop}, {"cap_add", c.CapAdd}} {
		for i, name := range list.names {
			at, known := elementKey(joinKey(key, list.key), i), linux.Capability(name)
			bare := strings.TrimPrefix(known, "CAP_")
			switch {
			case known != linux.AllCapabilities && !slices.Contains(linux.Capabilities, bare):
				r.add(at, "must be a capability of Linux or ALL, not %q%s", name, didYouMean(bare, linux.Capabilities))
			case list.key == "cap_drop":
				dropped[known] = true
			case dropped[known]:
				r.add(at, "%s is dropped by cap_drop as well", name)
			}
		}
	}
	seen := map[string]bool{}
	for i, option := range c.SecurityOpt {
		at := elementKey(joinKey(key, "security_opt"), i)
		name, value := SecurityOption(option)
		switch name {
		case "no-new-privileges":
			if value != "true" && value != "false" {
				r.add(at, "must be true or false after no-new-privileges, not %q", value)
			}
		case "seccomp":
			if value != "unconfined" && !path.IsAbs(value) {
				r.add(at, `must be "seccomp=unconfined" or have an absolute path of the node, not %q`, option)
			}
		case "apparmor":
			if value == "" || strings.ContainsAny(value, " \t") {
				r.add(at, `must be "apparmor=unconfined" or have the name of a profile, not %q`, option)
			}
		case "label":
			kind, rest, valued := strings.Cut(value, ":")
			known := value == "disable" || value == "nested" || valued && rest != "" && slices.Contains([]string{"user", "role", "type", "level", "filetype"}, kind)
			if !known {
				r.add(at, `must be "label=disable", or have user:, role:, type:, level: or filetype:, not %q`, option)
			}
			continue // may be given several times
		case "mask", "unmask":
			for p := range strings.SplitSeq(value, ":") {
				if !path.IsAbs(p) && (name != "unmask" || value != linux.AllCapabilities) {
					r.add(at, "must have absolute paths, separated by colons, not %q", option)
					break
				}
			}
		default:
			r.add(at, `must be no-new-privileges, or begin with seccomp=, apparmor=, label=, mask= or unmask=, not %q`, option)
		}
		if seen[name] {
			r.add(at, "sets %s a second time", name)
		}
		seen[name] = true
	}
}

// namespaces checks the namespaces, and the settings that need one of the container's own.
func (r *report) namespaces(key string, c Component) {
	at := func(name string) string { return joinKey(key, name) }
	if c.PID != "" && c.PID != networkHost && c.PID != "private" {
		r.add(at("pid"), `must be "host" or "private", not %q`, c.PID)
	}
	if !slices.Contains([]string{"", networkHost, "private", "shareable", networkNone}, c.IPC) {
		r.add(at("ipc"), `must be "host", "private", "shareable" or "none", not %q`, c.IPC)
	}
	if c.ShmSize != "" && (c.IPC == networkHost || c.IPC == networkNone) {
		r.add(at("shm_size"), `has no effect with ipc = %q`, c.IPC)
	}
	mode, options, given := strings.Cut(c.Userns, ":")
	switch {
	case !slices.Contains([]string{"", networkHost, "auto", "keep-id", "nomap"}, mode):
		r.add(at("userns"), `must be "host", "auto", "keep-id" or "nomap", not %q`, c.Userns)
	case given && (mode != "auto" && mode != "keep-id" || options == ""):
		r.add(at("userns"), "takes no options here, unlike %q", c.Userns)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sysctls)) {
		r.sysctl(joinKey(at("sysctls"), name), name, c)
	}
}

// sysctl checks that a setting belongs to a namespace of the container.
func (r *report) sysctl(key, name string, c Component) {
	dotted := strings.ReplaceAll(name, "/", ".")
	ipc := slices.Contains(linux.IPCSysctls, dotted) || strings.HasPrefix(dotted, "fs.mqueue.")
	switch {
	case strings.HasPrefix(dotted, "net."):
		if c.Network == networkHost {
			r.add(key, "would change the node with host networking")
		}
	case ipc && c.IPC == networkHost:
		r.add(key, `would change the node with ipc = "host"`)
	case !ipc:
		r.add(key, "is a setting of the whole node: only net.*, fs.mqueue.* and %s are a container's own", strings.Join(linux.IPCSysctls, ", "))
	}
	if value := c.Sysctls[name]; value == "" {
		r.add(key, "must have a value")
	}
}

// resolution checks how the container resolves names.
func (r *report) resolution(key string, c Component) {
	at := func(name string) string { return joinKey(key, name) }
	if c.Hostname != "" {
		r.hostname(at("hostname"), c.Hostname)
		if len(c.Hostname) > linux.MaxHostname {
			r.add(at("hostname"), "must have at most %d characters, Linux's limit", linux.MaxHostname)
		}
	}
	for i, text := range c.ExtraHosts {
		name, address := ExtraHost(text)
		key := elementKey(at("extra_hosts"), i)
		if _, err := netip.ParseAddr(address); err != nil && address != hostGateway {
			r.add(key, `must be "name:address" or "name:host-gateway", not %q`, text)
			continue
		}
		r.hostname(key, name)
	}
	for i, text := range c.DNS {
		if _, err := netip.ParseAddr(text); err != nil {
			r.add(elementKey(at("dns"), i), "must be the address of a name server, not %q", text)
		}
	}
	for i, text := range c.DNSSearch {
		if text != "." {
			r.hostname(elementKey(at("dns_search"), i), strings.TrimSuffix(text, "."))
		}
	}
	for i, text := range c.DNSOpt {
		if text == "" || strings.ContainsAny(text, " \t\n") {
			r.add(elementKey(at("dns_opt"), i), "must be an option of resolv.conf, not %q", text)
		}
	}
	if c.Network == networkNone {
		for name, given := range map[string]int{"dns": len(c.DNS), "dns_search": len(c.DNSSearch), "dns_opt": len(c.DNSOpt)} {
			if given > 0 {
				r.add(at(name), `has no effect with network = "none"`)
			}
		}
	}
}

// gpuID matches a number or an id of a GPU.
var gpuID = pattern(`^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$`)

// devices checks the devices and the GPUs.
func (r *report) devices(key string, c Component) {
	for i, text := range c.Devices {
		if IsCDI(text) {
			continue
		}
		parts := strings.Split(text, ":")
		at := elementKey(joinKey(key, "devices"), i)
		target, access := "", ""
		switch {
		case len(parts) == 3:
			target, access = parts[1], parts[2]
		case len(parts) == 2 && path.IsAbs(parts[1]):
			target = parts[1]
		case len(parts) == 2:
			access = parts[1]
		}
		switch {
		case len(parts) > 3 || !path.IsAbs(parts[0]) || target != "" && !path.IsAbs(target) || len(parts) == 3 && target == "":
			r.add(at, `must be "/dev/host[:/dev/container[:rwm]]", or the name of a CDI device such as "vendor.example/net=nic0", not %q`, text)
		case len(parts) > 1 && target == "" && access == "" || len(parts) == 3 && access == "" || strings.Trim(access, "rwm") != "":
			r.add(at, "has the access %q; it is of r, w and m", access)
		}
	}
	for i, gpu := range c.GPUs {
		if !matches(gpuID, gpu) {
			r.add(elementKey(joinKey(key, "gpus"), i), `must be "all", or the number or the id of a GPU, not %q`, gpu)
		}
	}
	if len(c.GPUs) > 1 && slices.Contains(c.GPUs, "all") {
		r.add(joinKey(key, "gpus"), `must be "all" or some, not both`)
	}
}

// logDrivers are those from which mcp can read, and none.
var logDrivers = []string{"", "k8s-file", "json-file", "journald", "none"}

func (r *report) logging(key string, c Component) {
	at := joinKey(key, "log_driver")
	if !slices.Contains(logDrivers, c.LogDriver) {
		r.add(at, `must be "k8s-file", "json-file", "journald" or "none", not %q`, c.LogDriver)
	}
	if c.LogSize != "" && (c.LogDriver == "journald" || c.LogDriver == "none") {
		r.add(joinKey(key, "log_size"), "has no effect with the log driver %s", c.LogDriver)
	}
}
