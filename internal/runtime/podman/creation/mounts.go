package creation

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/metacircular/mcp/internal/runtime"
)

// HostsFile is where a container looks up names first.
const HostsFile = "/etc/hosts"

// volume mounts a named volume. Its fields have no tags in podman's type either.
type volume struct {
	Name    string
	Dest    string
	Options []string
}

// overlay mounts a directory of the host such that the container's writes do not
// reach it.
type overlay struct {
	Source      string   `json:"source"`
	Destination string   `json:"destination"`
	Options     []string `json:"options"`
}

// device is "/dev/host[:/dev/container[:rwm]]", or the name of a CDI device.
type device struct {
	Path string `json:"path"`
}

// setMounts sets all that is mounted in the container beside secrets, and its devices.
func (c *Request) setMounts(spec runtime.ContainerSpec, host Host) error {
	for _, v := range spec.Volumes {
		if err := c.addVolume(v); err != nil {
			return err
		}
	}
	s := spec.Container
	for _, text := range s.Tmpfs {
		target, options, given := strings.Cut(text, ":")
		mount := specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: target}
		if given {
			mount.Options = strings.Split(options, ",")
		}
		c.Binds = append(c.Binds, mount)
	}
	for _, f := range s.Files {
		source, placed := host.Files[f.Target]
		if !placed {
			return fmt.Errorf("file %s is not on the host", f.Target)
		}
		options := []string{"ro", "nosuid", "nodev", "rprivate"}
		if host.Relabel {
			options = append(options, "z")
		}
		c.Binds = append(c.Binds, specs.Mount{Type: "bind", Source: source, Destination: f.Target, Options: options})
	}
	if spec.Hosts != "" {
		options := []string{"ro", "nosuid", "nodev", "rprivate"}
		if host.Relabel {
			options = append(options, "z")
		}
		c.Binds = append(c.Binds, specs.Mount{Type: "bind", Source: spec.Hosts, Destination: HostsFile, Options: options})
	}
	c.ShmSize = s.ShmBytes()
	for _, text := range slices.Concat(s.Devices, s.GPUDevices()) {
		c.Devices = append(c.Devices, device{text})
	}
	return nil
}

// addVolume adds "source:/target[:options]".
func (c *Request) addVolume(text string) error {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return fmt.Errorf("volume %q is not source:/target[:options]", text)
	}
	source, target := parts[0], parts[1]
	var options []string
	if len(parts) == 3 {
		options = strings.Split(parts[2], ",")
	}
	switch {
	case !path.IsAbs(source):
		c.Volumes = append(c.Volumes, volume{Name: source, Dest: target, Options: options})
	case slices.Contains(options, "O"):
		c.Overlays = append(c.Overlays, overlay{Source: source, Destination: target, Options: options})
	default:
		c.Binds = append(c.Binds, specs.Mount{Type: "bind", Source: source, Destination: target, Options: options})
	}
	return nil
}
