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

// creation is the body of podman's request to create a container, with the
// fields that mcp sets; the others have podman's defaults. Resource limits of
// processes are never set, because podman accepts all of them or none. Podman's
// own type, in specgen, links as much as podman itself.
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
	StopTimeout   uint                  `json:"stop_timeout"` // seconds
	Log           *logConfiguration     `json:"log_configuration,omitempty"`
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

// logConfiguration bounds the log of podman's driver k8s-file, in bytes. Other
// drivers ignore it: journald has a bound of its own.
type logConfiguration struct {
	Size int64 `json:"size"`
}

// secret mounts a secret as a file below /run/secrets. Its fields have no tags in
// podman's type either.
type secret struct {
	Source string
	Mode   uint32
}

// secretMode is the default of podman's command line: any user of the container
// may read the file.
const secretMode = 0o444

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

// newCreation returns the request for a container with that spec.
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
	c.StopTimeout = seconds(spec.StopTimeout)
	if spec.LogSize > 0 {
		c.Log = &logConfiguration{Size: spec.LogSize}
	}
	c.setLimits(spec)
	for _, v := range spec.Volumes {
		if err := c.addVolume(v); err != nil {
			return nil, err
		}
	}
	c.setNetwork(spec)
	return c, nil
}

func (c *creation) setLimits(spec runtime.ContainerSpec) {
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

// addVolume adds "source:/target[:options]".
func (c *creation) addVolume(text string) error {
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

// setNetwork sets the container's network and published ports.
func (c *creation) setNetwork(spec runtime.ContainerSpec) {
	if spec.Hosts != "" {
		// An engine with SELinux gives the file a label that all containers may read.
		c.Binds = append(c.Binds, specs.Mount{Type: "bind", Source: spec.Hosts, Destination: hostsFile, Options: []string{"bind", "ro", "z"}})
	}
	switch {
	case len(spec.Networks) > 0:
		c.Network.Mode = "bridge"
		c.Networks = attachments(spec.Networks)
	case spec.Network == "host" || spec.Network == "none":
		c.Network.Mode = spec.Network
	case spec.Network == "":
		c.Network.Mode = "bridge"
	default:
		c.Network.Mode = "bridge"
		c.Networks = map[string]nettypes.PerNetworkOptions{spec.Network: {}}
	}
	for _, p := range spec.Published() {
		c.Ports = append(c.Ports, nettypes.PortMapping{
			HostIP: p.IP, HostPort: uint16(p.Host), ContainerPort: uint16(p.Container), Protocol: p.Protocol,
		})
	}
}
