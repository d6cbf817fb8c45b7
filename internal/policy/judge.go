package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/docker/go-units"

	"github.com/metacircular/mcp/internal/imageref"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/linux"
)

// Subject is what is to run.
type Subject struct {
	Component servicedef.Component
	// Image is the reference to run, if it is known; that of the component is judged as well.
	Image string
	// RoutePorts are the host ports of its routes, as far as they are known, and RouteLow and
	// RouteHigh bound those that mcp allocates there.
	RoutePorts          []int
	RouteLow, RouteHigh int
	// Host finds what paths lead to on the node. Without it they are judged as they are
	// written.
	Host func(path string) Place
}

// Place is what a path leads to on a host.
type Place struct {
	// Path is without symbolic links. If the path does not exist, the part of it that does is
	// resolved.
	Path string
	// Kernel is set for a file system of the kernel's own: proc, sysfs, cgroups or devices.
	Kernel bool
	// Sockets are the sockets of container engines that it is or contains.
	Sockets []string
	// File identifies it; zero for what does not exist.
	File FileID
	// Problem is why it cannot be found out; "" if it can.
	Problem string
}

// FileID identifies a file on a host.
type FileID struct{ Device, Inode uint64 }

// Judge returns every rule that a container would break, in the order of the rules.
func (p Policy) Judge(s Subject) []Violation {
	j := &judgement{Policy: p, Subject: s}
	if p.Problem != "" {
		j.add("", "", "%s", p.unusable())
		return j.found
	}
	j.mounts()
	j.images()
	j.network()
	j.users()
	j.capabilities()
	j.devices()
	j.security()
	j.namespaces()
	j.limits()
	return j.found
}

// JudgeExec returns the rule that forbids commands in containers, if one does.
func (p Policy) JudgeExec() []Violation {
	j := &judgement{Policy: p}
	switch {
	case p.Problem != "":
		j.add("", "", "%s", p.unusable())
	case !p.Exec.Allowed:
		j.add("", "exec.allowed", "no command may be run in a container")
	}
	return j.found
}

func (p Policy) unusable() string {
	return "nothing new may run while the policy cannot be used: " + p.Problem
}

// judgement collects violations.
type judgement struct {
	Policy
	Subject
	found []Violation
}

func (j *judgement) add(key, rule, format string, args ...any) {
	j.found = append(j.found, Violation{Key: key, Rule: rule, Line: j.line(rule), Message: fmt.Sprintf(format, args...)})
}

// images judges where images come from.
func (j *judgement) images() {
	for _, image := range []string{j.Component.Image, j.Image} {
		if image == "" {
			continue
		}
		if !j.mayCome(image) {
			j.add("image", "images.registries", "%s is not of %s", image, listed(j.Images.Registries))
			return
		}
	}
}

// mayCome reports whether an image is from one of the registries.
func (p Policy) mayCome(image string) bool {
	if slices.Contains(p.Images.Registries, "*") {
		return true
	}
	ref, err := imageref.Parse(image)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(p.Images.Registries, func(pattern string) bool {
		host, repository, _ := strings.Cut(pattern, "/")
		suffix, wild := strings.CutPrefix(host, "*")
		if wild && !strings.HasSuffix(ref.Registry, suffix) || !wild && ref.Registry != host {
			return false
		}
		repository = strings.TrimSuffix(repository, "/")
		return repository == "" || ref.Repository == repository || strings.HasPrefix(ref.Repository, repository+"/")
	})
}

// network judges networks and ports.
func (j *judgement) network() {
	c := j.Component
	if c.Network == "host" && !j.Network.Host {
		j.add("network", "network.host", "the node's own network is not for containers")
	}
	for _, n := range c.Joined() {
		key := "networks"
		if n.Name == c.Network {
			key = "network"
		}
		switch {
		case !plainName.MatchString(n.Name):
			j.add(key, "network.names", "%q is not the name of a network", n.Name)
		case strings.HasPrefix(n.Name, servicedef.ServiceNetwork("")):
			j.add(key, "network.names", "network %s is that of another service", n.Name)
		case !matchesAny(j.Network.Names, n.Name):
			j.add(key, "network.names", "network %s is not of %s", n.Name, listed(j.Network.Names))
		}
	}
	for i, text := range c.Ports {
		ports, err := servicedef.ParsePorts([]string{text})
		if err != nil {
			j.add(element("ports", i), "network.ports", "%v", err)
			continue
		}
		for _, port := range ports {
			if !within(j.Network.Ports, port.Host) {
				j.add(element("ports", i), "network.ports", "host port %d is not of %s", port.Host, listed(j.Network.Ports))
				break
			}
		}
	}
	for _, port := range j.RoutePorts {
		if (port < j.RouteLow || port > j.RouteHigh) && !within(j.Network.Ports, port) {
			j.add("routes", "network.ports", "host port %d is neither one that mcp allocates there, from %d to %d, nor of %s", port, j.RouteLow, j.RouteHigh, listed(j.Network.Ports))
		}
	}
}

// users judges which users programs run as.
func (j *judgement) users() {
	uids, gids := j.Users.UIDs, j.Users.GIDs
	user, group, grouped := strings.Cut(j.Component.User, ":")
	switch id, number := numeric(user); {
	case len(uids) == 0:
	case user == "":
		j.add("user", "users.uids", "must be a number of %s: the image's own user is not known", listed(uids))
	case !number:
		j.add("user", "users.uids", "%q must be a number of %s: what a name stands for is the image's choice", user, listed(uids))
	case !within(uids, id):
		j.add("user", "users.uids", "the uid %d is not of %s", id, listed(uids))
	}
	if len(gids) == 0 {
		return
	}
	if id, number := numeric(group); !grouped || !number {
		j.add("user", "users.gids", `must name a group by a number of %s, as in "1000:1000"`, listed(gids))
	} else if !within(gids, id) {
		j.add("user", "users.gids", "the gid %d is not of %s", id, listed(gids))
	}
	for i, group := range j.Component.GroupAdd {
		if id, number := numeric(group); !number || !within(gids, id) {
			j.add(element("group_add", i), "users.gids", "%q is not a number of %s", group, listed(gids))
		}
	}
}

// capabilities judges what programs may do beyond the default.
func (j *judgement) capabilities() {
	for i, name := range j.Component.CapAdd {
		name = linux.Capability(name)
		allowed := slices.ContainsFunc(j.Privileges.Capabilities, func(a string) bool {
			return linux.Capability(a) == name || linux.Capability(a) == "ALL"
		})
		if !allowed && !slices.Contains(BaseCapabilities, name) {
			j.add(element("cap_add", i), "privileges.capabilities", "%s may not be added", name)
		}
	}
}

// devices judges devices, as they are written and as they are.
func (j *judgement) devices() {
	for i, text := range j.Component.Devices {
		name, _, _ := strings.Cut(text, ":")
		key := element("devices", i)
		if !strings.HasPrefix(name, "/") { // a name of CDI, or none at all
			name = text
		}
		j.device(key, name)
	}
	for _, name := range j.Component.GPUDevices() {
		j.device("gpus", name)
	}
}

func (j *judgement) device(key, name string) {
	real := name
	if path.IsAbs(name) {
		if climbs(name) {
			j.add(key, "privileges.devices", `%s has an element ".."`, name)
			return
		}
		name = path.Clean(name)
		if real = name; j.Host != nil {
			place := j.Host(name)
			if place.Problem != "" {
				j.add(key, "privileges.devices", "%s cannot be judged: %s", name, place.Problem)
				return
			}
			real = place.Path
		}
	}
	allowed := func(name string) bool {
		return slices.ContainsFunc(j.Privileges.Devices, func(pattern string) bool {
			matched, _ := path.Match(pattern, name)
			return matched
		})
	}
	switch {
	case !allowed(name):
		j.add(key, "privileges.devices", "%s is not of %s", name, listed(j.Privileges.Devices))
	// Links in /dev are the host's own: /dev/serial/by-id/… leads to a device beside it.
	case real != name && !allowed(real) && (!contains("/dev", name) || !contains("/dev", real)):
		j.add(key, "privileges.devices", "%s leads to %s, which is not of %s", name, real, listed(j.Privileges.Devices))
	}
}

// security judges options that weaken what isolates a container.
func (j *judgement) security() {
	for i, text := range j.Component.SecurityOpt {
		name, value := servicedef.SecurityOption(text)
		if name == "mask" || name == "no-new-privileges" && value == "true" {
			continue
		}
		allowed := slices.ContainsFunc(j.Privileges.SecurityOpt, func(option string) bool {
			allowedName, allowedValue := servicedef.SecurityOption(option)
			return allowedName == name && (allowedValue == value || allowedValue == "*")
		})
		if !allowed {
			j.add(element("security_opt", i), "privileges.security_opt", "%s is not of %s", text, listed(j.Privileges.SecurityOpt))
		}
	}
}

// namespaces judges which namespaces of the node a container shares.
func (j *judgement) namespaces() {
	c := j.Component
	for _, n := range []struct{ key, value, name string }{{"pid", c.PID, "pid"}, {"ipc", c.IPC, "ipc"}, {"userns", c.Userns, "user"}} {
		mode, _, _ := strings.Cut(n.value, ":")
		switch {
		case n.value == "host" && slices.Contains(j.Privileges.Namespaces, n.name):
		case n.value == "host":
			j.add(n.key, "privileges.namespaces", "the node's own %s namespace is not for containers", n.name)
		case !slices.Contains(ownNamespaces[n.key], mode):
			j.add(n.key, "privileges.namespaces", "%q is not a namespace of the container's own", n.value)
		}
	}
}

// ownNamespaces are the choices that give a container a namespace of its own.
var ownNamespaces = map[string][]string{
	"pid": {"", "private"}, "ipc": {"", "private", "shareable", "none"}, "userns": {"", "auto", "keep-id", "nomap"},
}

// limits judges what a container may use up.
func (j *judgement) limits() {
	c, most := j.Component, j.Privileges.PidsLimit
	if most != servicedef.Unlimited && (c.PidsLimit > most || c.PidsLimit < 0) {
		j.add("pids_limit", "privileges.pids_limit", "must be from 1 to %d", most)
	}
	if bytes, err := units.RAMInBytes(j.Privileges.LogSize); err != nil || c.LogBytes() > bytes {
		j.add("log_size", "privileges.log_size", "must be at most %s", j.Privileges.LogSize)
	}
}
