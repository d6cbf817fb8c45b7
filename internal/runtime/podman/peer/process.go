package peer

import (
	"bufio"
	"bytes"
	"context"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Process is the process behind podman's socket, or the one that starts it on demand, as
// far as this process may see it: its zero value knows nothing.
type Process struct {
	// root is the path of its root directory; "" if that cannot be seen.
	root string
	// limits are its hard limits of nofile and nproc.
	limits map[string]uint64
	// all are its hard limits, by name.
	all map[string]uint64
	// bounding are the capabilities that its children can have at most.
	bounding uint64
	known    bool
}

// Of finds the process behind a socket, given its path. One that cannot be seen, as from a
// container, is unknown: podman then finds out itself what it lacks.
func Of(ctx context.Context, path string) Process {
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return Process{}
	}
	defer func() { _ = connection.Close() }()
	raw, err := connection.(*net.UnixConn).SyscallConn()
	if err != nil {
		return Process{}
	}
	var peer *unix.Ucred
	if raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil ||
		err != nil || peer.Pid <= 0 {
		return Process{}
	}
	return readProcess(filepath.Join("/proc", strconv.Itoa(int(peer.Pid))))
}

// readProcess reads what the kernel shows of a process.
func readProcess(dir string) Process {
	limits, err := os.ReadFile(filepath.Join(dir, "limits"))
	if err != nil {
		return Process{}
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return Process{}
	}
	p := Process{all: hardLimits(limits), limits: map[string]uint64{}, known: true}
	for _, name := range []string{"nofile", "nproc"} {
		if limit, known := p.all[name]; known {
			p.limits[name] = limit
		}
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if mask, is := strings.CutPrefix(line, "CapBnd:"); is {
			p.bounding, err = strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			p.known = p.known && err == nil
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "root", "proc")); err == nil {
		p.root = filepath.Join(dir, "root")
	}
	return p
}

// Limits returns the hard limits of nofile and nproc, as far as they are known.
func (p Process) Limits() map[string]uint64 { return p.limits }

// limitNames are the names of limits in /proc/PID/limits.
var limitNames = map[string]string{
	"Max cpu time": "cpu", "Max file size": "fsize", "Max data size": "data", "Max stack size": "stack",
	"Max core file size": "core", "Max resident set": "rss", "Max processes": "nproc", "Max open files": "nofile",
	"Max locked memory": "memlock", "Max address space": "as", "Max file locks": "locks", "Max pending signals": "sigpending",
	"Max msgqueue size": "msgqueue", "Max nice priority": "nice", "Max realtime priority": "rtprio", "Max realtime timeout": "rttime",
}

// hardLimits reads /proc/PID/limits, a table with the columns name, soft, hard and unit.
func hardLimits(text []byte) map[string]uint64 {
	limits := map[string]uint64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		for title, name := range limitNames {
			rest, is := strings.CutPrefix(lines.Text(), title+" ")
			columns := strings.Fields(rest)
			if !is || len(columns) < 2 {
				continue
			}
			limit, err := strconv.ParseUint(columns[1], 10, 64)
			if columns[1] == "unlimited" {
				limit, err = math.MaxUint64, nil
			}
			if err == nil {
				limits[name] = limit
			}
		}
	}
	return limits
}

// may reports whether the process, or one that it starts, can have a capability.
func (p Process) may(capability int) bool { return !p.known || p.bounding&(1<<capability) != 0 }

// exists reports whether a path exists for the process; true if that cannot be seen.
func (p Process) exists(path string) bool {
	if p.root == "" {
		return true
	}
	_, err := os.Lstat(filepath.Join(p.root, path))
	return err == nil || !os.IsNotExist(err)
}
