package parts

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// PowerOff stops a private engine as a loss of power does: it kills the service
// and every process of its containers, and discards the state kept in memory.
// The next start in the same Dir finds the containers, none of them running.
func (p *Podman) PowerOff() error {
	namespaces := p.namespaces()
	_ = syscall.Kill(p.PID(), syscall.SIGKILL)
	<-p.Done()
	for _, pid := range p.processes("conmon") {
		killTree(pid)
	}
	p.endMonitors()
	var errs []error
	for _, path := range namespaces {
		_ = syscall.Unmount(path, syscall.MNT_DETACH) // that of a stopped container is not mounted
		errs = append(errs, os.RemoveAll(path))
	}
	errs = append(errs, unmountUnder(p.volatile), unmountUnder(p.options.Dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("power off: %w", err)
	}
	return os.RemoveAll(p.volatile)
}

// namespaces lists the files of the containers' network namespaces, which are in
// a directory shared with other engines.
func (p *Podman) namespaces() []string {
	ids, err := p.run("ps", "--all", "--quiet")
	if err != nil || len(ids) == 0 {
		return nil
	}
	keys, _ := p.run(append([]string{"inspect", "--format", "{{.NetworkSettings.SandboxKey}}"}, strings.Fields(string(ids))...)...)
	return strings.Fields(string(keys)) // of the containers that still exist
}

// killTree kills a process and its descendants, which must not react to its
// death.
func killTree(pid int) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for _, child := range strings.Fields(string(children)) {
		if id, err := strconv.Atoi(child); err == nil {
			killTree(id)
		}
	}
}
