package servicedef

import (
	"path"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef/names"
)

// volumeOptions holds podman's options; one that takes a value ends in "=".
var volumeOptions = map[string]bool{
	"ro": true, "rw": true, "z": true, "Z": true, "O": true, "U": true,
	"copy": true, "nocopy": true, "dev": true, "nodev": true,
	"exec": true, "noexec": true, "suid": true, "nosuid": true,
	"bind": true, "rbind": true, "idmap": true,
	"shared": true, "rshared": true, "slave": true, "rslave": true,
	"private": true, "rprivate": true, "unbindable": true, "runbindable": true,
	"upperdir=": true, "workdir=": true, "idmap=": true,
}

// volumes checks "source:/target[:options]".
func (r *report) volumes(key string, volumes []string) {
	targets := map[string]int{}
	for i, text := range volumes {
		at := elementKey(key, i)
		parts := strings.Split(text, ":")
		if len(parts) < 2 || len(parts) > 3 {
			r.add(at, `must be "source:/target[:options]", not %q`, text)
			continue
		}
		if source := parts[0]; !path.IsAbs(source) && !names.IsObject(source) {
			r.add(at, "the source must be an absolute path or the name of a volume, not %q", source)
		}
		target := path.Clean(parts[1])
		if !path.IsAbs(target) || target == "/" {
			r.add(at, "the target must be an absolute path other than /, not %q", parts[1])
		} else if before, taken := targets[target]; taken {
			r.add(at, "%s already mounts a volume on %s", elementKey(key, before), target)
		} else {
			targets[target] = i
		}
		if len(parts) == 3 {
			r.volumeOptions(at, parts[2])
		}
	}
}

func (r *report) volumeOptions(key, options string) {
	var unknown []string
	for option := range strings.SplitSeq(options, ",") {
		name, _, valued := strings.Cut(option, "=")
		if valued {
			name += "="
		}
		if !volumeOptions[name] {
			unknown = append(unknown, option)
		}
	}
	if len(unknown) > 0 {
		r.add(key, "unknown options %q", strings.Join(unknown, ","))
	}
}

// WritableVolumes returns the sources of the volumes that the component may write
// to: names of volumes, and paths of the host.
func (c Component) WritableVolumes() []string {
	var sources []string
	for _, text := range c.Volumes {
		parts := strings.Split(text, ":")
		if len(parts) > 2 && !writable(strings.Split(parts[2], ",")) {
			continue
		}
		source := parts[0]
		if path.IsAbs(source) {
			source = path.Clean(source)
		}
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return sources
}

// writable reports whether a mount with those options changes its source. What is
// written to an overlay is dropped with the container, unless it has a directory of
// its own for that.
func writable(options []string) bool {
	own := slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "upperdir=") })
	return !slices.Contains(options, "ro") && (own || !slices.Contains(options, "O"))
}
