package node

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// mountTable is Linux's list of mounts, which does not access the file systems:
// see proc_pid_mountinfo(5).
const mountTable = "/proc/self/mountinfo"

// statTimeout bounds the time in which a file system must report its usage. One
// whose server is unreachable blocks forever.
const statTimeout = time.Second

// Disks reads the usage of file systems. It does not read one again before the
// last read of it has returned.
type Disks struct {
	pending sync.Map // of devices
}

// Of returns the usage of the file systems that hold the paths, each once and in
// their order, without the one that holds the path except. It omits file systems
// that are read-only, because they cannot fill, that have no size, or that do not
// answer.
func (d *Disks) Of(paths []string, except string) ([]fleet.Disk, error) {
	file, err := os.Open(mountTable)
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	defer file.Close()
	mounts, err := readMounts(file)
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	seen := map[string]bool{holding(mounts, except).device: true}
	var disks []fleet.Disk
	for _, path := range paths {
		m := holding(mounts, path)
		if m.device == "" || seen[m.device] {
			continue
		}
		seen[m.device] = true
		if u := d.usage(m); u.Total > 0 {
			disks = append(disks, fleet.Disk{Path: m.path, Usage: u})
		}
	}
	return disks, nil
}

// usage returns the usage of a file system; zero for one to omit.
func (d *Disks) usage(m mount) fleet.Usage {
	if _, pending := d.pending.LoadOrStore(m.device, true); pending {
		return fleet.Usage{}
	}
	answer := make(chan fleet.Usage, 1)
	go func() {
		u := writable(m.path)
		d.pending.Delete(m.device)
		answer <- u
	}()
	select {
	case u := <-answer:
		return u
	case <-time.After(statTimeout):
		return fleet.Usage{}
	}
}

// writable returns the usage of the file system at a path; zero if it is
// read-only.
func writable(path string) fleet.Usage {
	var s syscall.Statfs_t
	if syscall.Statfs(path, &s) != nil || s.Flags&syscall.MS_RDONLY != 0 {
		return fleet.Usage{}
	}
	size := uint64(s.Bsize)
	return fleet.Usage{Total: s.Blocks * size, Used: (s.Blocks - s.Bfree) * size}
}

// mount is a file system and its mount point.
type mount struct{ device, path string }

// readMounts parses a mount table.
func readMounts(table io.Reader) ([]mount, error) {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var mounts []mount
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		mounts = append(mounts, mount{device: fields[2], path: unescape.Replace(fields[4])})
	}
	return mounts, lines.Err()
}

// holding returns the mount that holds a path: the deepest above it and, of those
// at one mount point, the last, which hides the others.
func holding(mounts []mount, path string) (found mount) {
	for _, m := range mounts {
		above := strings.TrimSuffix(m.path, "/") + "/"
		if strings.HasPrefix(path+"/", above) && len(m.path) >= len(found.path) {
			found = m
		}
	}
	return found
}
