package parts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Destroy removes a private engine completely: containers, mounts, images,
// volumes and the service. Of the machine's own engine it stops only the
// service; the containers keep running with the configuration they were started
// with. Destroying an engine twice is not an error.
func (p *Podman) Destroy() error {
	if p.destroyed() {
		p.Stop()
		return nil
	}
	if !p.options.Private {
		p.Stop()
		return errors.Join(os.Remove(filepath.Join(p.options.Dir, volatileLink)), os.RemoveAll(p.volatile))
	}
	// The podman program rather than its service, which may have died.
	_, err := p.run("rm", "--all", "--force", "--time", "0", "--volumes")
	if err != nil {
		err = fmt.Errorf("remove podman's containers: %w", err)
	}
	p.Stop()
	// Remove files only when no process creates any and nothing is mounted among them.
	if left := errors.Join(p.killAll(), unmountUnder(p.volatile), unmountUnder(p.options.Dir)); left != nil {
		return errors.Join(err, left)
	}
	return errors.Join(err, p.removeFiles())
}

// run runs the podman program, not through its service, and returns its output.
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

// destroyed reports whether Destroy has already completed.
func (p *Podman) destroyed() bool {
	_, err := os.Stat(p.volatile)
	return os.IsNotExist(err)
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
