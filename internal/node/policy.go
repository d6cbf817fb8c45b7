package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/metacircular/mcp/internal/policy"
)

// Policies reads the policy of this host, and finds what paths of it lead to.
type Policies struct {
	// File contains the policy; "" stands for policy.DefaultFile, which may be missing.
	File string
	// Sockets are those of the engines that are known, beside the usual ones.
	Sockets []string
}

// Policy reads the policy as it is now. One that cannot be used has a Problem.
func (p Policies) Policy() policy.Policy {
	file := p.File
	if file == "" {
		file = policy.DefaultFile
	}
	text, err := readOwned(file)
	if errors.Is(err, fs.ErrNotExist) && p.File == "" {
		return policy.Careful(file)
	}
	if err == nil {
		var read policy.Policy
		if read, err = policy.Parse(text, file); err == nil {
			return read
		}
	}
	return policy.Broken(file, err)
}

// readOwned reads a file that only root, or the user of this process, can have written.
func readOwned(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer does not block it
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	case known && owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return nil, fmt.Errorf("%s belongs to the user %d: it must be root's, or that of the worker's user %d", name, owner.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("%s can be written by others: its mode is %04o; chmod go-w %s", name, info.Mode().Perm(), name)
	}
	return io.ReadAll(io.LimitReader(file, policy.MaxSize+1))
}

// Place finds what a path leads to.
func (p Policies) Place(path string) policy.Place {
	place := policy.Place{}
	real, err := resolve(path)
	if err != nil {
		place.Problem = err.Error()
		return place
	}
	place.Path = real
	var system unix.Statfs_t
	if err := unix.Statfs(real, &system); err == nil {
		place.Kernel = slices.Contains(kernelSystems, system.Type)
	}
	found, err := os.Stat(real)
	if errors.Is(err, fs.ErrNotExist) {
		return place
	}
	if err != nil {
		place.Problem = err.Error()
		return place
	}
	if stat, known := found.Sys().(*syscall.Stat_t); known {
		place.File = policy.FileID{Device: stat.Dev, Inode: stat.Ino}
	}
	for _, socket := range p.engineSockets() {
		if holds(real, found, socket) {
			place.Sockets = append(place.Sockets, socket)
		}
	}
	return place
}

// Mounted returns the file that a process finds at a path of its own; false if that cannot
// be found out.
func (p Policies) Mounted(pid int, target string) (policy.FileID, bool) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return policy.FileID{}, false
	}
	defer func() { _ = unix.Close(root) }()
	found, err := unix.Openat2(root, target, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return policy.FileID{}, false
	}
	defer func() { _ = unix.Close(found) }()
	var stat unix.Stat_t
	if err := unix.Fstat(found, &stat); err != nil {
		return policy.FileID{}, false
	}
	return policy.FileID{Device: stat.Dev, Inode: stat.Ino}, true
}

// kernelSystems are file systems of the kernel's own, from linux/magic.h.
var kernelSystems = []int64{
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEBUGFS_MAGIC,
	unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.DEVPTS_SUPER_MAGIC, unix.BPF_FS_MAGIC, unix.EFIVARFS_MAGIC,
}

// resolve returns a path without symbolic links. If the path does not exist, the part of it
// that does is resolved.
func resolve(path string) (string, error) {
	rest := ""
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		real, err := filepath.EvalSymlinks(dir)
		switch {
		case err == nil:
			return filepath.Join(real, rest), nil
		case !errors.Is(err, fs.ErrNotExist) || dir == "/":
			return "", err
		}
		if _, err := os.Lstat(dir); err == nil { // a link that leads nowhere may lead anywhere later
			return "", fmt.Errorf("%s is a link to what does not exist", dir)
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// engineSockets returns the sockets of container engines that exist here, resolved.
func (p Policies) engineSockets() []string {
	candidates := slices.Clone(p.Sockets)
	for _, pattern := range policy.EngineSockets {
		matches, _ := filepath.Glob(pattern)
		candidates = append(candidates, matches...)
	}
	candidates = append(candidates, listening()...)
	var found []string
	for _, socket := range candidates {
		real, err := filepath.EvalSymlinks(strings.TrimPrefix(socket, "unix://"))
		if err == nil && !slices.Contains(found, real) {
			found = append(found, real)
		}
	}
	return found
}

// socketNames are what engines call their sockets, wherever these are.
var socketNames = []string{"podman.sock", "docker.sock", "containerd.sock", "crio.sock", "buildkitd.sock"}

// longestTable bounds what is read of the kernel's table of sockets.
const longestTable = 8 << 20

// listening returns the sockets in the kernel's table that have the name of an engine's.
func listening() []string {
	file, err := os.Open("/proc/net/unix")
	if err != nil {
		return nil
	}
	defer file.Close()
	table, _ := io.ReadAll(io.LimitReader(file, longestTable)) // what was read counts
	var found []string
	for line := range bytes.Lines(table) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		if name := fields[len(fields)-1]; filepath.IsAbs(name) && slices.Contains(socketNames, filepath.Base(name)) {
			found = append(found, name)
		}
	}
	return found
}

// holds reports whether a file is a socket, or a directory that contains it: by its path,
// or because it is the same file as the socket, or as a directory above it.
func holds(real string, found fs.FileInfo, socket string) bool {
	for at := socket; ; at = filepath.Dir(at) {
		if at == real {
			return true
		}
		if info, err := os.Stat(at); err == nil && os.SameFile(info, found) {
			return true
		}
		if at == "/" {
			return false
		}
	}
}
