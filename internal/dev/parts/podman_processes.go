package parts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killTimeout bounds how long killed processes may take to end.
const killTimeout = 30 * time.Second

// killAll kills a private engine's processes and returns when they have ended: a killed
// process completes its system call first, which may create a file. Podman's own
// processes come first: conmon starts a podman when a container ends, which would create
// the storage again.
func (p *Podman) killAll() error {
	for deadline := time.Now().Add(killTimeout); ; {
		found := append(p.processes(), p.containerProcesses()...)
		if len(found) == 0 {
			return nil
		}
		if err := killAndWait(found, deadline); err != nil {
			return fmt.Errorf("kill podman's processes: %w", err)
		}
	}
}

// processes lists the processes whose arguments name the engine's storage or its volatile
// state: those of podman, conmon and runc.
func (p *Podman) processes() []int {
	var found []int
	for _, pid := range allProcesses() {
		arguments, err := os.ReadFile(procPath(pid, "cmdline"))
		if err != nil {
			continue // the process has ended
		}
		for argument := range strings.SplitSeq(string(arguments), "\x00") {
			if isIn(argument, filepath.Join(p.options.Dir, "root")) || isIn(argument, filepath.Join(p.volatile, "run")) {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}

func isIn(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// containerProcesses lists the processes that run in the engine's containers.
func (p *Podman) containerProcesses() []int {
	containers := p.containers()
	if len(containers) == 0 {
		return nil
	}
	var found []int
	for _, pid := range allProcesses() {
		groups, err := os.ReadFile(procPath(pid, "cgroup"))
		if err != nil {
			continue // the process has ended
		}
		for _, id := range containers {
			if strings.Contains(string(groups), "libpod-"+id) {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}

// containers lists the ids of the containers in the engine's storage.
func (p *Podman) containers() []string {
	entries, _ := os.ReadDir(filepath.Join(p.options.Dir, "root", "overlay-containers")) // absent before the first container
	var ids []string
	for _, entry := range entries {
		if entry.IsDir() {
			ids = append(ids, entry.Name())
		}
	}
	return ids
}

// allProcesses lists the machine's processes without this one.
func allProcesses() []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

func procPath(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

// killAndWait kills processes and waits until every thread of each has ended.
func killAndWait(pids []int, deadline time.Time) error {
	var errs []error
	var waits []unix.PollFd
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err == nil {
			defer func() { _ = unix.Close(fd) }()
			waits = append(waits, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
			err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("process %d: %w", pid, err))
		}
	}
	for i := range waits {
		errs = append(errs, awaitEnd(waits[i:i+1], deadline))
	}
	return errors.Join(errs...)
}

// awaitEnd waits until a process, which a pidfd refers to, has ended.
func awaitEnd(process []unix.PollFd, deadline time.Time) error {
	for {
		n, err := unix.Poll(process, int(max(0, time.Until(deadline).Milliseconds())))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("a killed process has not ended within %s", killTimeout)
		default:
			return nil
		}
	}
}
