package parts

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// PodmanOptions says where podman's API service keeps what is its own.
type PodmanOptions struct {
	// Dir holds the log, the configuration and, for a private engine, its
	// storage.
	Dir string
	// Private gives the engine storage, networks and volumes of its own under
	// Dir, so that several can live on one machine and none sees the
	// machine's own containers.
	Private bool
	// Namespace is the file of the network namespace to run in, as a host of
	// its own; "" for this process's.
	Namespace string
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
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make podman's directory: %w", err)
	}
	// The kernel's table of mounts, which Destroy reads, knows no symlinks.
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
	env, err := podmanEnv(o)
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
	if err := p.WaitReady(ctx, p.ping); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// Socket is the service's address: "unix:///…/podman.sock".
func (p *Podman) Socket() string { return "unix://" + p.socketPath() }

func (p *Podman) socketPath() string { return filepath.Join(p.volatile, "podman.sock") }

// Stop ends the service. Its containers go on running, and the next service
// in the same Dir finds them.
func (p *Podman) Stop() { p.Process.Stop() }

// command is the command line of a podman that is meant for this engine.
func (p *Podman) command(args ...string) (string, []string) {
	args = append(p.storageArgs(), args...)
	if p.options.Namespace == "" {
		return p.program, args
	}
	// Not "ip netns exec", which would hide the cgroups.
	return "nsenter", append([]string{"--net=" + p.options.Namespace, p.program}, args...)
}

// storageArgs are podman's global options.
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

func (p *Podman) ping(ctx context.Context) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", p.socketPath())
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://podman/_ping", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ping: %s", response.Status)
	}
	return nil
}
