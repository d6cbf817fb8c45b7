package creation

import (
	"maps"
	"math"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// setLimits sets the limits of the container as a whole.
func (c *Request) setLimits(spec runtime.ContainerSpec) {
	limits := specs.LinuxResources{}
	if spec.Memory > 0 {
		limits.Memory = &specs.LinuxMemory{Limit: &spec.Memory}
	}
	if spec.CPUs > 0 {
		period := uint64(100_000) // µs, the kernel's default
		quota := int64(spec.CPUs * float64(period))
		limits.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	}
	if pids := int64(spec.Container.PidsLimit); pids != 0 {
		limits.Pids = &specs.LinuxPids{Limit: pids}
	}
	if limits.Memory != nil || limits.CPU != nil || limits.Pids != nil {
		c.Limits = &limits
	}
}

// setRlimits sets the limits of single processes. If there are none, podman leaves
// those of its own processes; if there are some, podman before 5 raises nofile and
// nproc unless they are among them, which fails if podman may not raise them.
func (c *Request) setRlimits(limits map[string]servicedef.Ulimit, host map[string]uint64) {
	if len(limits) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		c.Rlimits = append(c.Rlimits, specs.POSIXRlimit{Type: name, Soft: rlimit(limits[name].Soft), Hard: rlimit(limits[name].Hard)})
	}
	for _, name := range []string{"nofile", "nproc"} {
		_, set := limits[name]
		if most, known := host[name]; known && !set {
			c.Rlimits = append(c.Rlimits, specs.POSIXRlimit{Type: name, Soft: most, Hard: most})
		}
	}
}

// rlimit returns a limit as the kernel represents it.
func rlimit(n int64) uint64 {
	if n == servicedef.Unlimited {
		return math.MaxUint64
	}
	return uint64(n)
}
