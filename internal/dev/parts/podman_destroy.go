package parts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Destroy ends a private engine with all that it holds: containers, mounts,
// images, volumes and the service. Of the machine's own engine it ends only
// the service; the containers there run on, and keep the configuration that
// they were started with. Destroying twice is no error.
func (p *Podman) Destroy() error {
	if p.destroyed() {
		p.Stop()
		return nil
	}
	if !p.options.Private {
		p.Stop()
		return errors.Join(os.Remove(filepath.Join(p.options.Dir, volatileLink)), os.RemoveAll(p.volatile))
	}
	// podman itself, rather than its service, so that this works however the
	// service has ended.
	_, err := p.run("rm", "--all", "--force", "--time", "0", "--volumes")
	if err != nil {
		err = fmt.Errorf("remove podman's containers: %w", err)
	}
	p.Stop()
	p.endMonitors()
	// Files are removed only when nothing is mounted among them any more.
	if mounted := errors.Join(unmountUnder(p.volatile), unmountUnder(p.options.Dir)); mounted != nil {
		return errors.Join(err, mounted)
	}
	return errors.Join(err, p.removeFiles())
}

// run runs podman itself, rather than its service, and returns what it prints.
func (p *Podman) run(args ...string) ([]byte, error) {
	path, args := p.command(args...)
	command := exec.Command(path, args...)
	command.Env = append(os.Environ(), p.env...)
	var problem bytes.Buffer
	command.Stderr = &problem
	output, err := command.Output()
	if err != nil {
		err = fmt.Errorf("podman: %w: %s", err, bytes.TrimSpace(problem.Bytes()))
	}
	return output, err
}

// destroyed reports whether Destroy has come to its end before.
func (p *Podman) destroyed() bool {
	_, err := os.Stat(p.volatile)
	return os.IsNotExist(err)
}

// endMonitors kills the engine's conmon processes that are left, and the podman
// that each of them calls some seconds after its container has ended, or after
// a command in it. That podman would make the storage anew.
func (p *Podman) endMonitors() {
	for _, program := range []string{"conmon", filepath.Base(p.program)} {
		for _, pid := range p.processes(program) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// processes are those of a program that work on the engine's storage.
func (p *Podman) processes(program string) []int {
	var pids []int
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(string(text), "\x00")
		if filepath.Base(args[0]) != program || !slices.Contains(args, filepath.Join(p.options.Dir, "root")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// removeFiles removes the engine's storage and its volatile directory.
func (p *Podman) removeFiles() error {
	var errs []error
	for _, name := range []string{"root", "networks", "volumes", "containers.conf", volatileLink} {
		errs = append(errs, os.RemoveAll(filepath.Join(p.options.Dir, name)))
	}
	return errors.Join(append(errs, os.RemoveAll(p.volatile))...)
}

// unmountUnder unmounts everything that is mounted under dir, innermost first.
func unmountUnder(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("read mounts: %w", err)
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
				points = append(points, point)
			}
		}
	}
	var errs []error
	for _, point := range slices.Backward(points) { // the table is in order of mounting
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}
