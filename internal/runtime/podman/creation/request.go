package creation

import (
	"math"
	"strconv"
	"strings"
	"time"

	nettypes "go.podman.io/common/libnetwork/types"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/linux"
)

// Request is the body of podman's request to create a container, with the fields that
// mcp sets; the others have podman's defaults. Podman's own type, in specgen, links as
// much as podman itself.
type Request struct {
	Name          string                `json:"name"`
	Image         string                `json:"image"`
	Entrypoint    []string              `json:"entrypoint,omitempty"`
	Command       []string              `json:"command,omitempty"`
	WorkDir       string                `json:"work_dir,omitempty"`
	Env           map[string]string     `json:"env,omitempty"`
	Secrets       []secret              `json:"secrets,omitempty"`
	SecretEnv     map[string]string     `json:"secret_env,omitempty"`
	Labels        map[string]string     `json:"labels,omitempty"`
	User          string                `json:"user,omitempty"`
	Groups        []string              `json:"groups,omitempty"`
	Init          bool                  `json:"init,omitempty"`
	RestartPolicy string                `json:"restart_policy,omitempty"`
	RestartTries  *uint                 `json:"restart_tries,omitempty"`
	StopSignal    int                   `json:"stop_signal,omitempty"`
	StopTimeout   uint                  `json:"stop_timeout"` // seconds
	Log           *logConfiguration     `json:"log_configuration,omitempty"`
	Limits        *specs.LinuxResources `json:"resource_limits,omitempty"`
	Rlimits       []specs.POSIXRlimit   `json:"r_limits,omitempty"`

	Binds    []specs.Mount `json:"mounts,omitempty"`
	Volumes  []volume      `json:"volumes,omitempty"`
	Overlays []overlay     `json:"overlay_volumes,omitempty"`
	ShmSize  int64         `json:"shm_size,omitempty"`
	Devices  []device      `json:"devices,omitempty"`

	isolation

	Network    namespace                             `json:"netns"`
	Networks   map[string]nettypes.PerNetworkOptions `json:"Networks,omitempty"`
	Ports      []nettypes.PortMapping                `json:"portmappings,omitempty"`
	Hostname   string                                `json:"hostname,omitempty"`
	HostAdd    []string                              `json:"hostadd,omitempty"`
	DNSServers []string                              `json:"dns_server,omitempty"`
	DNSSearch  []string                              `json:"dns_search,omitempty"`
	DNSOptions []string                              `json:"dns_option,omitempty"`
}

// Host is what a request depends on beside the specification.
type Host struct {
	// Limits are the hard limits of the processes that podman starts by default, by
	// Linux's names in lower case. They replace what a specification with other limits
	// leaves out of nofile and nproc: podman would raise these further than it may.
	Limits map[string]uint64
	// Files are the paths, on the host, of the files of the specification by target.
	Files map[string]string
	// Relabel is set if SELinux labels must allow a container to read them.
	Relabel bool
}

// logConfiguration chooses the log's driver, and bounds the log of podman's driver
// k8s-file, in bytes. Other drivers ignore that: journald has a bound of its own.
type logConfiguration struct {
	Driver string `json:"driver,omitempty"`
	Size   int64  `json:"size,omitempty"`
}

// secret mounts a secret as a file below /run/secrets. Its fields have no tags in
// podman's type either.
type secret struct {
	Source   string
	Target   string
	UID, GID uint32
	Mode     uint32
}

// New returns the request for a container with that spec.
func New(spec runtime.ContainerSpec, host Host) (*Request, error) {
	c := &Request{
		Name: spec.Name, Image: spec.Image, Command: spec.Command, Env: spec.Env, Labels: spec.Labels, User: spec.User,
		SecretEnv: spec.SecretEnv,
	}
	for _, s := range spec.Secrets {
		c.Secrets = append(c.Secrets, secret{
			Source: s.Source, Target: s.Target, UID: uint32(s.UID), GID: uint32(s.GID), Mode: servicedef.FileMode(s.Mode),
		})
	}
	if err := c.setProcess(spec); err != nil {
		return nil, err
	}
	c.setLog(spec)
	c.setLimits(spec)
	c.setRlimits(spec.Container.Ulimits, host.Limits)
	if err := c.setMounts(spec, host); err != nil {
		return nil, err
	}
	c.setIsolation(spec.Container)
	c.setNetwork(spec)
	c.setResolution(spec.Container)
	return c, nil
}

// setProcess sets how the program is started and ended.
func (c *Request) setProcess(spec runtime.ContainerSpec) error {
	s := spec.Container
	c.Entrypoint, c.WorkDir, c.Groups, c.Init = s.Entrypoint, s.Workdir, s.GroupAdd, s.Init
	if s.StopSignal != "" {
		c.StopSignal = linux.Signal(s.StopSignal)
	}
	c.StopTimeout = Seconds(spec.StopTimeout)
	policy, tries, limited := strings.Cut(spec.Restart, ":")
	c.RestartPolicy = policy
	if limited {
		count, err := strconv.ParseUint(tries, 10, 31)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "restart policy %q", spec.Restart)
		}
		n := uint(count)
		c.RestartTries = &n
	}
	return nil
}

// setLog chooses the driver of the log, and its bound where the driver has one.
func (c *Request) setLog(spec runtime.ContainerSpec) {
	log := logConfiguration{Driver: spec.Container.LogDriver}
	if log.Driver == "" || log.Driver == "k8s-file" || log.Driver == "json-file" {
		log.Size = spec.LogSize
	}
	if log != (logConfiguration{}) {
		c.Log = &log
	}
}

// Seconds returns a timeout in podman's unit, rounded up.
func Seconds(d time.Duration) uint { return uint(max(0, math.Ceil(d.Seconds()))) }
