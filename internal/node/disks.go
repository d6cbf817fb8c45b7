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

// mountTable is where Linux lists what is mounted, without asking those who
// hold it: see proc_pid_mountinfo(5).
const mountTable = "/proc/self/mountinfo"

// diskPatience is how long a file system may take to say how full it is. One on
// a server that is away takes for ever.
const diskPatience = time.Second

// Disks asks file systems how full they are. One that has not answered is not
// asked again before it has.
type Disks struct {
	silent sync.Map // of devices
}

// Of tells of the file systems of the paths, each once and in their order, but
// for the one that holds the path except. Those that cannot be written to are
// left out, since they cannot fill, and so are those that have no size, or do
// not answer.
func (d *Disks) Of(paths []string, except string) ([]fleet.Disk, error) {
	file, err := os.Open(mountTable)
	if err != nil {
		return nil, fmt.Errorf("read what is mounted: %w", err)
	}
	defer file.Close()
	mounts, err := readMounts(file)
	if err != nil {
		return nil, fmt.Errorf("read what is mounted: %w", err)
	}
	told := map[string]bool{holding(mounts, except).device: true}
	var disks []fleet.Disk
	for _, path := range paths {
		m := holding(mounts, path)
		if m.device == "" || told[m.device] {
			continue
		}
		told[m.device] = true
		if u := d.ask(m); u.Total > 0 {
			disks = append(disks, fleet.Disk{Path: m.path, Usage: u})
		}
	}
	return disks, nil
}

// ask asks one file system; it returns nothing for one that is left out.
func (d *Disks) ask(m mount) fleet.Usage {
	if _, waiting := d.silent.LoadOrStore(m.device, true); waiting {
		return fleet.Usage{}
	}
	answer := make(chan fleet.Usage, 1)
	go func() {
		u := writable(m.path)
		d.silent.Delete(m.device)
		answer <- u
	}()
	select {
	case u := <-answer:
		return u
	case <-time.After(diskPatience):
		return fleet.Usage{}
	}
}

// writable is how full the file system at a path is, if it can be written to.
func writable(path string) fleet.Usage {
	var s syscall.Statfs_t
	if syscall.Statfs(path, &s) != nil || s.Flags&syscall.MS_RDONLY != 0 {
		return fleet.Usage{}
	}
	size := uint64(s.Bsize)
	return fleet.Usage{Total: s.Blocks * size, Used: (s.Blocks - s.Bfree) * size}
}

// mount is where a file system can be reached.
type mount struct{ device, path string }

// readMounts reads a mount table.
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

// holding is the mount that a path lies on: of those above it the deepest, and
// the last of those at one point, which hides the others.
func holding(mounts []mount, path string) (found mount) {
	for _, m := range mounts {
		above := strings.TrimSuffix(m.path, "/") + "/"
		if strings.HasPrefix(path+"/", above) && len(m.path) >= len(found.path) {
			found = m
		}
	}
	return found
}
