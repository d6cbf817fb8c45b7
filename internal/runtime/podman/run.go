package podman

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	nettypes "go.podman.io/common/libnetwork/types"

	"github.com/containers/podman/v5/pkg/specgen"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// cleanupTime bounds what is done after the caller's context has ended.
const cleanupTime = 15 * time.Second

// createTime is how long Run waits to see the container that another caller is
// creating.
const createTime = 2 * time.Second

// Run creates and starts a container, or finds that it did so before.
func (e *Engine) Run(ctx context.Context, spec runtime.ContainerSpec) (string, error) {
	info, err := e.Inspect(ctx, spec.Name)
	// One that was given other ports could not have those, and could not be
	// removed then; or its removal was cut off.
	if err == nil && sameLabels(info, spec) && (!samePorts(info, spec) || info.State == runtime.Removing) {
		if err := e.Remove(ctx, info.ID); err != nil {
			return "", err
		}
		info, err = e.Inspect(ctx, spec.Name)
	}
	switch {
	case fault.Is(err, fault.NotFound):
		info, err = e.create(ctx, spec)
		if err != nil {
			return "", err
		}
	case err != nil:
		return "", err
	case !sameContainer(info, spec):
		return "", conflict(info, spec)
	}
	if err := e.start(ctx, info); err != nil {
		return "", e.discard(ctx, info, err)
	}
	return info.ID, nil
}

// discard removes a container that could not be started, also when the
// caller's context has ended, and returns the reason why it could not. When the
// removal fails too, the message says so; the next Run of the same container
// finds what is left.
func (e *Engine) discard(ctx context.Context, info runtime.ContainerInfo, reason error) error {
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if err := e.Remove(detached, info.ID); err != nil {
		// Only the reason decides what kind of error this is.
		return fmt.Errorf("%w; then %s", reason, err.Error())
	}
	return reason
}

// create creates a container. When podman's answer is an error it looks again:
// the request may have arrived though its answer did not, or another caller
// with the same wish may have been faster.
func (e *Engine) create(ctx context.Context, spec runtime.ContainerSpec) (runtime.ContainerInfo, error) {
	generator, err := generate(spec)
	if err != nil {
		return runtime.ContainerInfo{}, fault.Wrap(fault.Invalid, err, "create container %s", spec.Name)
	}
	err = e.ask(ctx, post("/containers/create").sending(generator), nil)
	if err == nil {
		return e.Inspect(ctx, spec.Name)
	}
	err = e.translate(ctx, err, "create container %s from %s", spec.Name, spec.Image)
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	info, lookErr := e.Inspect(detached, spec.Name)
	if fault.Is(err, fault.Conflict) {
		// Podman takes a name some time before it shows who has it.
		for began := time.Now(); fault.Is(lookErr, fault.NotFound) && time.Since(began) < createTime && pause(detached) == nil; {
			info, lookErr = e.Inspect(detached, spec.Name)
		}
	}
	switch {
	case fault.Is(err, fault.Conflict) && fault.Is(lookErr, fault.NotFound):
		return runtime.ContainerInfo{}, fault.Wrap(fault.Unavailable, err, "podman does not show who has the name").
			WithHint("podman ps --all --external shows a container that was left half-made, and podman rm --force removes it")
	case lookErr != nil:
		return runtime.ContainerInfo{}, err
	case !sameContainer(info, spec):
		return runtime.ContainerInfo{}, conflict(info, spec)
	case ctx.Err() != nil:
		if info.State == runtime.Created {
			_ = e.Remove(detached, info.ID)
		}
		return runtime.ContainerInfo{}, err
	}
	return info, nil
}

// generate says to podman what spec says. What spec leaves out is podman's
// default; resource limits of processes are never set, because podman takes
// all of them or none.
func generate(spec runtime.ContainerSpec) (*specgen.SpecGenerator, error) {
	s := specgen.NewSpecGenerator(spec.Image, false)
	s.Name, s.Command, s.Env, s.Labels, s.User = spec.Name, spec.Command, spec.Env, spec.Labels, spec.User
	policy, tries, limited := strings.Cut(spec.Restart, ":")
	s.RestartPolicy = policy
	if limited {
		count, err := strconv.ParseUint(tries, 10, 31)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "restart policy %q", spec.Restart)
		}
		n := uint(count)
		s.RestartRetries = &n
	}
	if spec.StopTimeout > 0 {
		timeout := seconds(spec.StopTimeout)
		s.StopTimeout = &timeout
	}
	limitResources(s, spec)
	if err := mount(s, spec.Volumes); err != nil {
		return nil, err
	}
	connect(s, spec)
	return s, nil
}

func limitResources(s *specgen.SpecGenerator, spec runtime.ContainerSpec) {
	if spec.Memory == 0 && spec.CPUs == 0 {
		return
	}
	s.ResourceLimits = &specs.LinuxResources{}
	if spec.Memory > 0 {
		s.ResourceLimits.Memory = &specs.LinuxMemory{Limit: &spec.Memory}
	}
	if spec.CPUs > 0 {
		period := uint64(100_000) // µs, the kernel's default
		quota := int64(spec.CPUs * float64(period))
		s.ResourceLimits.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	}
}

func mount(s *specgen.SpecGenerator, volumes []string) error {
	mounts, named, overlays, err := specgen.GenVolumeMounts(volumes)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		s.Mounts = append(s.Mounts, m)
	}
	for _, v := range named {
		s.Volumes = append(s.Volumes, v)
	}
	for _, o := range overlays {
		s.OverlayVolumes = append(s.OverlayVolumes, o)
	}
	return nil
}

// connect sets the container's network.
func connect(s *specgen.SpecGenerator, spec runtime.ContainerSpec) {
	switch spec.Network {
	case "":
		s.NetNS = specgen.Namespace{NSMode: specgen.Bridge}
	case "host":
		s.NetNS = specgen.Namespace{NSMode: specgen.Host}
	case "none":
		s.NetNS = specgen.Namespace{NSMode: specgen.NoNetwork}
	default:
		s.NetNS = specgen.Namespace{NSMode: specgen.Bridge}
		s.Networks = map[string]nettypes.PerNetworkOptions{spec.Network: {}}
	}
	for _, p := range publishedBy(spec) {
		s.PortMappings = append(s.PortMappings, nettypes.PortMapping{
			HostIP: p.HostIP, HostPort: uint16(p.HostPort), ContainerPort: uint16(p.ContainerPort), Protocol: p.Protocol,
		})
	}
}
