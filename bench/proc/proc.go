package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Stat holds the parent of a process, its own processor time, and that of its
// children that have ended.
type Stat struct {
	PID, Parent int
	Own, Ended  time.Duration
}

// tick is the unit of /proc/PID/stat on Linux.
const tick = 10 * time.Millisecond

// StatOf reads /proc/PID/stat.
func StatOf(pid int) (Stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return Stat{}, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	// The name, in parentheses, may contain spaces; the state is field 3.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	field := func(n int) int {
		value, _ := strconv.Atoi(fields[n-3]) // the kernel writes numbers
		return value
	}
	return Stat{
		PID: pid, Parent: field(4),
		Own: tick * time.Duration(field(14)+field(15)), Ended: tick * time.Duration(field(16)+field(17)),
	}, nil
}

// ChildrenOf lists the running children of a process.
func ChildrenOf(parent int) ([]Stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var children []Stat
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := StatOf(pid); err == nil && s.Parent == parent { // an error: it has ended
			children = append(children, s)
		}
	}
	return children, nil
}

// MemoryOf returns the proportional set size of a process, in bytes.
func MemoryOf(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("read the memory of process %d: no Pss", pid)
}
