package servicedef

import (
	"strconv"

	"github.com/docker/go-units"
)

// A container's quota is a share of 100 ms of a core, and the kernel grants no
// less than 1 ms (min_cfs_quota_period). No architecture allows a larger NR_CPUS
// than maxCPUs.
const (
	minCPUs = 0.01
	maxCPUs = 8192
)

// minMemory is the least memory, in bytes, in which a container starts. It is
// Docker's minimum.
const minMemory = 6 << 20

// DefaultLogSize is the bound of a log, in bytes, if a definition sets none.
const DefaultLogSize = 50 << 20

// minLogSize leaves room for the last lines that errors show.
const minLogSize = 1 << 20

// LogBytes returns the bound that LogSize sets, or DefaultLogSize; 0 for a text
// that is not a size.
func (c Component) LogBytes() int64 {
	if c.LogSize == "" {
		return DefaultLogSize
	}
	bytes, err := units.RAMInBytes(c.LogSize)
	if err != nil {
		return 0
	}
	return bytes
}

// MemoryBytes returns the limit that Memory sets, 0 if it sets none.
func (c Component) MemoryBytes() int64 {
	bytes, err := units.RAMInBytes(c.Memory)
	if err != nil {
		return 0
	}
	return bytes
}

func (r *report) limits(key string, c Component) {
	switch bytes := c.MemoryBytes(); {
	case c.Memory != "" && bytes <= 0:
		r.add(joinKey(key, "memory"), `must be a size such as "256m", not %q`, c.Memory)
	case c.Memory != "" && bytes < minMemory:
		r.add(joinKey(key, "memory"), `must be a size of at least "6m", such as "256m"; %q is %d bytes`, c.Memory, bytes)
	}
	if c.LogSize != "" && c.LogBytes() < minLogSize {
		r.add(joinKey(key, "log_size"), `must be a size of at least "1m", not %q`, c.LogSize)
	}
	// The negation makes this true for NaN as well.
	if c.CPUs != 0 && !(c.CPUs >= minCPUs && c.CPUs <= maxCPUs) {
		r.add(joinKey(key, "cpus"), "must be between %v and %d cores, or 0 for no limit, not %s",
			minCPUs, maxCPUs, strconv.FormatFloat(c.CPUs, 'g', -1, 64))
	}
}
