package machines_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// beSystemctl is as much of systemctl as docs/operating.md and mcp join use.
func beSystemctl(args []string) error {
	switch {
	case slices.Equal(args, []string{"daemon-reload"}):
		return nil
	case len(args) == 3 && slices.Equal(args[:2], []string{"enable", "--now"}):
		return startUnit(strings.TrimSuffix(args[2], ".service"))
	}
	return fmt.Errorf("cannot do this: %q", args)
}

// startUnit starts a unit unless it runs, with the units that it wants.
func startUnit(name string) error {
	if name == "network-online.target" {
		return nil
	}
	if name == "podman.socket" {
		return spawn(name, "machine-podman")
	}
	u, err := readUnit(name)
	if err != nil {
		return err
	}
	for _, wanted := range u.words("Wants") {
		if err := startUnit(wanted); err != nil {
			return err
		}
	}
	return spawn(name, "machine-unit", name)
}

// spawn starts a program that outlives this one, unless it runs. Its output is in
// /run/log.
func spawn(name string, program ...string) error {
	note := filepath.Join("/run/units", name)
	if _, err := os.Stat(note); err == nil {
		return nil
	}
	log, err := os.OpenFile(logOf(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return err
	}
	return os.WriteFile(note, []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
}

// logOf is the file with what a unit has printed.
func logOf(name string) string { return "/run/log/" + name + ".log" }

// unit is a unit of systemd.
type unit struct {
	name, instance string
	settings       map[string][]string
}

// readUnit reads an installed unit.
func readUnit(name string) (*unit, error) {
	u := &unit{name: name, settings: map[string][]string{}}
	file := name
	if template, instance, ok := strings.Cut(name, "@"); ok {
		file, u.instance = template+"@", instance
	}
	text, err := os.ReadFile(filepath.Join("/etc/systemd/system", file+".service"))
	if err != nil {
		return nil, err
	}
	for _, line := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllSubmatch(text, -1) {
		key := string(line[1])
		u.settings[key] = append(u.settings[key], string(line[2]))
	}
	return u, nil
}

// words are those of all lines of a setting, with the specifiers replaced.
func (u *unit) words(setting string) []string {
	hostname, _ := os.Hostname()
	short, _, _ := strings.Cut(hostname, ".")
	specifiers := strings.NewReplacer("%i", u.instance, "%l", short, "%%", "%")
	return strings.Fields(specifiers.Replace(strings.Join(u.settings[setting], " ")))
}

// is reports whether a setting has the value.
func (u *unit) is(setting, value string) bool { return slices.Contains(u.settings[setting], value) }

// restartPause is RestartSec of mcp's units.
const restartPause = 2 * time.Second

// beUnit runs what a unit starts, and again when it has ended, in the unit's environment.
// What it may write to is as systemd has it.
func beUnit(args []string) error {
	runtime.LockOSThread() // the program inherits from the thread that it may gain nothing
	u, err := readUnit(args[0])
	if err != nil {
		return err
	}
	if !u.is("Restart", "always") || !u.is("ProtectSystem", "strict") || !u.is("ProtectHome", "yes") || !u.is("PrivateTmp", "yes") || !u.is("NoNewPrivileges", "yes") {
		return fmt.Errorf("%s: not known as a unit", u.name)
	}
	env, owner, err := u.environment()
	if err != nil {
		return err
	}
	if err := u.confine(owner); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	for line := u.words("ExecStart"); ; time.Sleep(restartPause) {
		cmd := exec.Command(line[0], line[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", env, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGKILL}
		fmt.Fprintf(os.Stderr, "%s has ended: %v\n", u.name, cmd.Run())
	}
}

// environment is that of the unit, and its user; nil for root.
func (u *unit) environment() ([]string, *syscall.Credential, error) {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"}
	var owner *syscall.Credential
	for _, name := range u.words("User") {
		account, err := user.Lookup(name)
		if err != nil {
			return nil, nil, err
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, nil, err
		}
		owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		env = append(env, "USER="+name, "LOGNAME="+name, "HOME="+account.HomeDir, "SHELL=/bin/sh")
	}
	for _, dir := range u.words("StateDirectory") {
		env = append(env, "STATE_DIRECTORY=/var/lib/"+dir)
	}
	env = append(env, u.words("Environment")...)
	for _, file := range u.words("EnvironmentFile") {
		path, optional := strings.CutPrefix(file, "-")
		text, err := os.ReadFile(path)
		if optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for line := range bytes.Lines(text) {
			env = append(env, string(bytes.TrimSpace(line)))
		}
	}
	return env, owner, nil
}

// confine makes all read-only but the directories of the unit's state and of the kernel,
// and gives it directories of its own for temporary files.
func (u *unit) confine(owner *syscall.Credential) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	writable := []string{"/dev", "/proc", "/sys", "/tmp", "/var/tmp"}
	for _, path := range writable[3:] {
		if err := unix.Mount("tmpfs", path, "tmpfs", 0, "mode=1777"); err != nil {
			return fmt.Errorf("mount %s: %w", path, err)
		}
	}
	for _, name := range u.words("StateDirectory") {
		path, mode := "/var/lib/"+name, uint64(0o755)
		if set := u.words("StateDirectoryMode"); len(set) > 0 {
			mode, _ = strconv.ParseUint(set[0], 8, 32)
		}
		err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, fs.FileMode(mode)))
		if err == nil && owner != nil {
			err = os.Chown(path, int(owner.Uid), int(owner.Gid))
		}
		if err == nil {
			err = unix.Mount(path, path, "", unix.MS_BIND, "")
		}
		if err != nil {
			return fmt.Errorf("prepare %s: %w", path, err)
		}
		writable = append(writable, path)
	}
	if err := unix.MountSetattr(-1, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("make all read-only: %w", err)
	}
	for _, path := range writable {
		if err := unix.MountSetattr(-1, path, unix.AT_RECURSIVE, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return fmt.Errorf("make %s writable: %w", path, err)
		}
	}
	for _, path := range []string{"/root", "/home"} {
		if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY, "mode=000"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("hide %s: %w", path, err)
		}
	}
	return nil
}
