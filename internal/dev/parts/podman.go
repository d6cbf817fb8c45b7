package parts

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// PodmanOptions configure podman's API service.
type PodmanOptions struct {
	// Dir holds the log, the configuration and, for a private engine, its
	// storage.
	Dir string
	// Private keeps the engine's storage, networks and volumes under Dir, so
	// that several engines can share one machine and none sees the machine's
	// own containers.
	Private bool
	// Namespace is the file of the network namespace to run in, as a separate
	// host; "" means that of this process.
	Namespace string
	// Init is the program that starts the programs of containers with init; "" means
	// podman's. It needs Private.
	Init string
	// Unfiltered lets containers make every system call. Podman keeps the filter of each
	// container, 12 kB of JSON, with its configuration, and reads it for each container of
	// each list; that is most of the work of an engine with many containers. It needs
	// Private, and is for tests.
	Unfiltered bool
}

// Podman is a running podman API service.
type Podman struct {
	*Process
	options  PodmanOptions
	program  string
	volatile string
	env      []string
}

// StartPodman starts podman's API service and waits until it answers. A second
// start in the same Dir finds the containers and images of the first.
func StartPodman(ctx context.Context, o PodmanOptions) (*Podman, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find podman's directory: %w", err)
	}
	if err := makeDir(dir, 0o700, volatileLink); err != nil {
		return nil, fmt.Errorf("make podman's directory: %w", err)
	}
	// The kernel's table of mounts, which Destroy reads, has resolved paths.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("find podman's directory: %w", err)
	}
	if strings.ContainsAny(dir, ",:\\") {
		return nil, fmt.Errorf("place podman's storage in %s: an overlay mount takes no path with a comma, a colon or a backslash", dir)
	}
	o.Dir = dir
	program, err := exec.LookPath("podman")
	if err != nil {
		return nil, fmt.Errorf("find podman (install the packages podman, runc, netavark, aardvark-dns and iptables): %w", err)
	}
	volatile, err := volatileDir(dir)
	if err != nil {
		return nil, err
	}
	env, err := podmanEnv(dir, o)
	if err != nil {
		return nil, err
	}
	p := &Podman{options: o, program: program, volatile: volatile, env: env}
	path, args := p.command("system", "service", "--time=0", p.Socket())
	p.Process, err = Start(Command{
		Name:    "podman",
		Path:    path,
		Args:    args,
		Env:     env,
		Dir:     dir,
		LogFile: filepath.Join(dir, "podman.log"),
	})
	if err != nil {
		return nil, err
	}
	if err := p.WaitReady(ctx, func(ctx context.Context) error { return PingPodman(ctx, p.Socket()) }); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// Socket returns the service's address: "unix:///…/podman.sock".
func (p *Podman) Socket() string { return "unix://" + filepath.Join(p.volatile, "podman.sock") }

// Stop stops the service. Its containers keep running, and the next service in
// the same Dir finds them.
func (p *Podman) Stop() { p.Process.Stop() }

// command returns the command line that runs podman on this engine.
func (p *Podman) command(args ...string) (string, []string) {
	args = append(p.storageArgs(), args...)
	if p.options.Namespace == "" {
		return p.program, args
	}
	// "ip netns exec" would hide the cgroups.
	return "nsenter", append([]string{"--net=" + p.options.Namespace, p.program}, args...)
}

// storageArgs returns podman's global options.
func (p *Podman) storageArgs() []string {
	if !p.options.Private {
		return nil
	}
	return []string{
		"--root", filepath.Join(p.options.Dir, "root"),
		"--runroot", filepath.Join(p.volatile, "run"),
		"--tmpdir", filepath.Join(p.volatile, "tmp"),
		"--network-config-dir", filepath.Join(p.options.Dir, "networks"),
		"--volumepath", filepath.Join(p.options.Dir, "volumes"),
	}
}
