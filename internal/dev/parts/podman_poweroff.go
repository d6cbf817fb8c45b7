package parts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// PowerOff stops a private engine as a loss of power does: it kills the service
// and every process of its containers, and discards the state kept in memory.
// The next start in the same Dir finds the containers, none of them running.
func (p *Podman) PowerOff() error {
	namespaces := p.namespaces()
	if err := p.killAll(); err != nil {
		return fmt.Errorf("power off: %w", err)
	}
	<-p.Done()
	var errs []error
	for _, path := range namespaces {
		_ = syscall.Unmount(path, syscall.MNT_DETACH) // that of a stopped container is not mounted
		errs = append(errs, os.RemoveAll(path))
	}
	for _, id := range p.containers() {
		errs = append(errs, os.RemoveAll(filepath.Join(runcState, id)))
	}
	errs = append(errs, unmountUnder(p.volatile), unmountUnder(p.options.Dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("power off: %w", err)
	}
	return os.RemoveAll(p.volatile)
}

// runcState holds runc's state of running containers, of all engines. Runc refuses to
// start a container that has a state.
const runcState = "/run/runc"

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
