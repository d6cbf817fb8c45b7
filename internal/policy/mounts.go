package policy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// plainName matches what podman accepts as the name of a volume or a network.
var plainName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// EngineSockets are where container engines listen by default. "*" stands for the id of a
// user.
var EngineSockets = []string{
	"/run/podman/podman.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock",
	"/run/user/*/podman/podman.sock", "/run/user/*/docker.sock", "/run/docker/containerd/containerd.sock",
}

// mounts judges the volumes.
func (j *judgement) mounts() {
	for i, text := range j.Component.Volumes {
		key := element("volumes", i)
		parts := strings.Split(text, ":")
		if len(parts) < 2 || len(parts) > 3 {
			j.add(key, "mounts.roots", `%q is not "source:/target[:options]"`, text)
			continue
		}
		var options []string
		if len(parts) == 3 {
			options = strings.Split(parts[2], ",")
		}
		own := j.mountOptions(key, options)
		// A later option wins over an earlier one, so that only ro alone is sure.
		readOnly := (slices.Contains(options, "ro") || slices.Contains(options, "O")) && !slices.Contains(options, "rw") && own == nil
		switch source := parts[0]; {
		case path.IsAbs(source):
			j.source(key, source, readOnly)
		case !plainName.MatchString(source):
			j.add(key, "mounts.roots", "%q is neither an absolute path nor the name of a volume", source)
		}
		for _, dir := range own {
			j.source(key, dir, false)
		}
	}
}

// mountOptions judges the options of a mount, and returns the directories that they name.
func (j *judgement) mountOptions(key string, options []string) (dirs []string) {
	for _, option := range options {
		name, value, valued := strings.Cut(option, "=")
		if !slices.Contains(j.Mounts.Options, name) {
			j.add(key, "mounts.options", "the option %q is not of %s", option, listed(j.Mounts.Options))
		}
		if valued && (name == "upperdir" || name == "workdir") {
			dirs = append(dirs, value)
		}
	}
	return dirs
}

// source judges a path of the node: as it is written, and as what it leads to.
func (j *judgement) source(key, source string, readOnly bool) {
	switch {
	case !path.IsAbs(source):
		j.add(key, "mounts.roots", "%q is not an absolute path", source)
		return
	case climbs(source):
		j.add(key, "mounts.roots", `%s has an element ".."`, source)
		return
	}
	source = path.Clean(source)
	written := Place{Path: source, Kernel: kernels(source), Sockets: socketsIn(source)}
	if j.place(key, source, written, readOnly) || j.Host == nil {
		return
	}
	place := j.Host(source)
	if place.Problem != "" {
		j.add(key, "mounts.roots", "%s cannot be judged: %s", source, place.Problem)
		return
	}
	place.Kernel = place.Kernel || kernels(place.Path)
	j.place(key, source, place, readOnly)
}

// place judges what a path leads to, and reports whether it breaks a rule.
func (j *judgement) place(key, source string, place Place, readOnly bool) (broken bool) {
	what := source
	if place.Path != source {
		what = source + ", which leads to " + place.Path + ","
	}
	if len(place.Sockets) > 0 && !j.Mounts.EngineSockets {
		has := "contains"
		if place.Sockets[0] == place.Path || place.Sockets[0] == source {
			has = "is"
		}
		j.add(key, "mounts.engine_sockets", "%s %s the socket of a container engine, %s", what, has, place.Sockets[0])
		return true
	}
	allowed := j.below(j.Mounts.Roots, place)
	if allowed || readOnly && j.below(j.Mounts.ReadOnlyRoots, place) {
		return false
	}
	switch {
	case !readOnly && j.below(j.Mounts.ReadOnlyRoots, place):
		j.add(key, "mounts.read_only_roots", "%s may only be mounted with ro", what)
	case place.Kernel:
		j.add(key, "mounts.roots", "%s is the kernel's own, and not of %s", what, listed(j.Mounts.Roots))
	default:
		j.add(key, "mounts.roots", "%s is not below %s", what, listed(j.Mounts.Roots))
	}
	return true
}

// below reports whether a place is one of the roots, or below one. What is the kernel's own
// must be below a root that is the kernel's own, too.
func (j *judgement) below(roots []string, place Place) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		root = path.Clean(root)
		real := root
		if j.Host != nil {
			real = j.Host(root).Path
		}
		for _, r := range []string{root, real} {
			if r != "" && contains(r, place.Path) && (!place.Kernel || kernels(r)) {
				return true
			}
		}
		return false
	})
}

// kernels reports whether a path is in a directory of the kernel's own.
func kernels(p string) bool {
	return contains("/proc", p) || contains("/sys", p) || contains("/dev", p)
}

// socketsIn returns the usual sockets of engines that a path is or contains.
func socketsIn(p string) []string {
	p = strings.Replace(p+"/", "/var/run/", "/run/", 1)
	p = path.Clean(p)
	var found []string
	for _, socket := range EngineSockets {
		if covers(p, socket) {
			found = append(found, socket)
		}
	}
	return found
}

// covers reports whether a path is a socket, or contains it; the socket may have a "*" in
// the place of an element.
func covers(p, socket string) bool {
	if p == "/" {
		return true
	}
	have, want := strings.Split(p, "/"), strings.Split(socket, "/")
	if len(have) > len(want) {
		return false
	}
	for i := range have {
		if want[i] != "*" && have[i] != want[i] {
			return false
		}
	}
	return true
}

// contains reports whether a clean path is a directory or below it.
func contains(dir, p string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/")
}

// matchesAny reports whether a name matches a pattern, whose "*" stands for any characters.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		parts := strings.Split(pattern, "*")
		if len(parts) == 1 {
			return name == pattern
		}
		rest, ok := strings.CutPrefix(name, parts[0])
		if !ok {
			return false
		}
		for _, part := range parts[1 : len(parts)-1] {
			_, after, found := strings.Cut(rest, part)
			if !found {
				return false
			}
			rest = after
		}
		return strings.HasSuffix(rest, parts[len(parts)-1])
	})
}

// within reports whether a number is in one of the ranges.
func within(ranges []string, n int) bool {
	return slices.ContainsFunc(ranges, func(text string) bool {
		first, last, err := parseRange(text, 1<<32)
		return err == nil && n >= first && n <= last
	})
}

// numeric returns the number that a text is. It accepts what podman takes for one.
func numeric(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return int(n), err == nil
}

func element(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// listed renders a list for a sentence.
func listed(list []string) string {
	if len(list) == 0 {
		return "those of the policy, which has none"
	}
	return strings.Join(list, ", ")
}
