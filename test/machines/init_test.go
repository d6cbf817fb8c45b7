package machines_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	plane, operator, node, elsewhere = "plane", "laptop", "rift", "elsewhere"
	imageRegistry                    = "registry.example:5000"
)

// own are the directories of which a machine has a version of its own: it sees what this
// machine has in them, and writes elsewhere.
var own = []string{"/etc", "/var/lib", "/usr/local", "/root"}

// addresses are those of the machines; that of the node is the one in docs/operating.md.
var addresses = map[string]string{elsewhere: "10.0.0.1", plane: "10.0.0.2", operator: "10.0.0.3", node: "10.0.0.5"}

// hostnames are the names of other machines that docs/operating.md has.
const hostnames = `127.0.0.1 localhost
10.0.0.1 registry.example
10.0.0.2 door.example
`

// beMachine is the first process of a machine: its name, and the directory for what it
// writes.
func beMachine(args []string) error {
	name, dir := args[0], args[1]
	if err := errors.Join(settle(name, dir), furnish(name, dir)); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	fmt.Println("ready")
	for range ended { // processes that have lost their parents are its own
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	}
	return nil
}

// settle gives the machine its files.
func settle(name, dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to itself: %w", err)
	}
	if err := leaveMounts(dir); err != nil {
		return err
	}
	for _, path := range own {
		layer := filepath.Join(dir, "files", path)
		above, work := filepath.Join(layer, "above"), filepath.Join(layer, "work")
		if err := errors.Join(os.MkdirAll(above, 0o755), os.MkdirAll(work, 0o755)); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err == nil {
			err = os.Chmod(above, info.Mode().Perm())
		}
		if err == nil {
			err = hide(above, path)
		}
		if err == nil {
			err = unix.Mount("overlay", path, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", path, above, work))
		}
		if err != nil {
			return fmt.Errorf("lay a directory over %s: %w", path, err)
		}
	}
	// What podman keeps cannot be on an overlay.
	storage := filepath.Join(dir, "containers")
	return errors.Join(
		unix.Mount("proc", "/proc", "proc", 0, ""),
		unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"),
		os.MkdirAll(storage, 0o700), os.MkdirAll("/var/lib/containers", 0o755),
		unix.Mount(storage, "/var/lib/containers", "", unix.MS_BIND, ""),
		unix.Sethostname([]byte(name)),
	)
}

// installed is what a machine may have of mcp, which a fresh one has not.
var installed = []string{"/etc/mcp", "/etc/systemd/system/mcp-*", "/var/lib/mcp*", "/usr/local/bin/mcp*", "/root/.config/mcp"}

// hide has an overlay over path, whose upper layer is above, hide what is installed there:
// by whiteouts, because other programs may be changing it.
func hide(above, path string) error {
	for _, pattern := range installed {
		if !strings.HasPrefix(pattern, path+"/") {
			continue
		}
		found, _ := filepath.Glob(pattern) // it is well formed
		for _, hidden := range found {
			whiteout := filepath.Join(above, strings.TrimPrefix(hidden, path))
			if err := os.MkdirAll(filepath.Dir(whiteout), 0o755); err != nil {
				return err
			}
			if err := unix.Mknod(whiteout, unix.S_IFCHR, 0); err != nil {
				return fmt.Errorf("hide %s: %w", hidden, err)
			}
		}
	}
	return nil
}

// leaveMounts lets go of what other programs have mounted, so that they can remove it.
func leaveMounts(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		point := strings.Fields(line)[4]
		used := strings.HasPrefix(dir+"/", point+"/")
		for _, root := range []string{"/tmp/", "/run/", "/var/"} {
			if strings.HasPrefix(point, root) && !used {
				_ = unix.Unmount(point, unix.MNT_DETACH) // it may be below one that is gone
			}
		}
	}
	return nil
}

// furnish installs what a machine has when it is given to its administrator: names,
// certificates, its package manager and systemd, which this test binary is.
func furnish(name, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var problems []error
	for _, called := range roles {
		problems = append(problems, os.Symlink(self, "/usr/local/bin/"+called))
	}
	for _, path := range []string{"/run/netns", "/run/lock", "/run/log", "/run/units", "/run/podman", "/run/systemd/system", "/etc/systemd/system"} {
		problems = append(problems, os.MkdirAll(path, 0o755))
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	for path, text := range map[string]string{
		"/etc/hosts": hostnames + addresses[name] + " " + name + "\n", "/etc/hostname": name + "\n",
		"/etc/machine-id": hex.EncodeToString(id) + "\n",
	} {
		problems = append(problems, os.WriteFile(path, []byte(text), 0o644))
	}
	problems = append(problems, trust(filepath.Join(filepath.Dir(dir), "registry.pem")))
	if name != plane { // whose administrator installs it
		problems = append(problems, os.WriteFile("/usr/local/bin/mcp", nil, 0o755), unix.Mount(self, "/usr/local/bin/mcp", "", unix.MS_BIND, ""))
	}
	if said, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		problems = append(problems, fmt.Errorf("start the loopback: %w: %s", err, said))
	}
	return errors.Join(append(problems, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))...)
}

// trust adds a certificate to those that the machine trusts.
func trust(file string) error {
	const all = "/etc/ssl/certs/ca-certificates.crt"
	more, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(all), 0o755); err != nil {
		return err
	}
	text, err := os.ReadFile(all)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(all, append(text, more...), 0o644)
}

// beAptGet accepts to install what this machine has already.
func beAptGet(args []string) error {
	if !slices.Equal(args, []string{"install", "podman"}) {
		return fmt.Errorf("cannot do this: %q", args)
	}
	return nil
}
