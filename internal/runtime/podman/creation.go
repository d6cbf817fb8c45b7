package podman

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	nettypes "go.podman.io/common/libnetwork/types"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// creation is what podman's API takes to create a container, as far as mcp has
// something to say: what is left out is podman's default. Resource limits of
// processes are never set, because podman takes all of them or none. (Podman's
// own type for it, specgen's, is as heavy to start as podman.)
type creation struct {
	Name          string                `json:"name"`
	Image         string                `json:"image"`
	Command       []string              `json:"command,omitempty"`
	Env           map[string]string     `json:"env,omitempty"`
	Secrets       []secret              `json:"secrets,omitempty"`
	SecretEnv     map[string]string     `json:"secret_env,omitempty"`
	Labels        map[string]string     `json:"labels,omitempty"`
	User          string                `json:"user,omitempty"`
	RestartPolicy string                `json:"restart_policy,omitempty"`
	RestartTries  *uint                 `json:"restart_tries,omitempty"`
	StopTimeout   *uint                 `json:"stop_timeout,omitempty"` // seconds
	Limits        *specs.LinuxResources `json:"resource_limits,omitempty"`

	Binds    []specs.Mount `json:"mounts,omitempty"`
	Volumes  []volume      `json:"volumes,omitempty"`
	Overlays []overlay     `json:"overlay_volumes,omitempty"`

	Network struct {
		Mode string `json:"nsmode"`
	} `json:"netns"`
	Networks map[string]nettypes.PerNetworkOptions `json:"Networks,omitempty"`
	Ports    []nettypes.PortMapping                `json:"portmappings,omitempty"`
}

// secret is one that podman keeps, as a file below /run/secrets. Its fields have no
// tags at podman's either.
type secret struct {
	Source string
	Mode   uint32
}

// secretMode is podman's own default on its command line: the container's user
// may be any.
const secretMode = 0o444

// volume is one that podman keeps under a name. Its fields have no tags at
// podman's either.
type volume struct {
	Name    string
	Dest    string
	Options []string
}

// overlay is a directory of the host's that the container writes beside.
type overlay struct {
	Source      string   `json:"source"`
	Destination string   `json:"destination"`
	Options     []string `json:"options"`
}

// newCreation says to podman what spec says.
func newCreation(spec runtime.ContainerSpec) (*creation, error) {
	c := &creation{
		Name: spec.Name, Image: spec.Image, Command: spec.Command, Env: spec.Env, Labels: spec.Labels, User: spec.User,
		SecretEnv: spec.SecretEnv,
	}
	for _, name := range spec.Secrets {
		c.Secrets = append(c.Secrets, secret{Source: name, Mode: secretMode})
	}
	policy, tries, limited := strings.Cut(spec.Restart, ":")
	c.RestartPolicy = policy
	if limited {
		count, err := strconv.ParseUint(tries, 10, 31)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "restart policy %q", spec.Restart)
		}
		n := uint(count)
		c.RestartTries = &n
	}
	if spec.StopTimeout > 0 {
		timeout := seconds(spec.StopTimeout)
		c.StopTimeout = &timeout
	}
	c.limit(spec)
	for _, v := range spec.Volumes {
		if err := c.mount(v); err != nil {
			return nil, err
		}
	}
	c.connect(spec)
	return c, nil
}

func (c *creation) limit(spec runtime.ContainerSpec) {
	if spec.Memory == 0 && spec.CPUs == 0 {
		return
	}
	c.Limits = &specs.LinuxResources{}
	if spec.Memory > 0 {
		c.Limits.Memory = &specs.LinuxMemory{Limit: &spec.Memory}
	}
	if spec.CPUs > 0 {
		period := uint64(100_000) // µs, the kernel's default
		quota := int64(spec.CPUs * float64(period))
		c.Limits.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	}
}

// mount adds "source:/target[:options]".
func (c *creation) mount(text string) error {
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

// connect sets the container's network.
func (c *creation) connect(spec runtime.ContainerSpec) {
	switch spec.Network {
	case "host", "none":
		c.Network.Mode = spec.Network
	case "":
		c.Network.Mode = "bridge"
	default:
		c.Network.Mode = "bridge"
		c.Networks = map[string]nettypes.PerNetworkOptions{spec.Network: {}}
	}
	for _, p := range publishedBy(spec) {
		c.Ports = append(c.Ports, nettypes.PortMapping{
			HostIP: p.IP, HostPort: uint16(p.Host), ContainerPort: uint16(p.Container), Protocol: p.Protocol,
		})
	}
}
