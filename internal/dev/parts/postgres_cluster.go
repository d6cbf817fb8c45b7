package parts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// clusterName, in a server's directory, is the cluster or a link to it.
const clusterName = "cluster"

// cluster is where a server's data is, and what it takes to serve it.
type cluster struct {
	programs string
	home     string
	// user is who the server runs as; nil for this process's own user.
	user     *syscall.Credential
	password string
}

func (c *cluster) data() string { return filepath.Join(c.home, "data") }

func (c *cluster) lockFile() string { return filepath.Join(c.data(), "postmaster.pid") }

func (c *cluster) passwordFile() string { return filepath.Join(c.home, "password") }

// openCluster finds the cluster of a server's directory, or makes it.
func openCluster(ctx context.Context, dir string) (*cluster, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	c := &cluster{programs: programs}
	if os.Geteuid() == 0 {
		if c.user, err = postgresUser(); err != nil {
			return nil, err
		}
	}
	if c.home, err = c.makeHome(dir); err != nil {
		return nil, err
	}
	if err := c.makePassword(); err != nil {
		return nil, err
	}
	return c, c.initialise(ctx)
}

// postgresPrograms is the directory of Postgres's programs. Debian keeps them
// out of PATH, by version.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is a good one
	if len(found) == 0 {
		return "", errors.New("find Postgres's initdb in PATH or /usr/lib/postgresql: install the Debian package postgresql")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // an odd name counts as the oldest
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// postgresUser is who the server runs as when this process is root, because
// Postgres refuses to be root.
func postgresUser() (*syscall.Credential, error) {
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find the user that Postgres runs as (the Debian package postgresql makes it): %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
}

// makeHome makes the cluster's directory, or finds it, and gives it to the
// server's user.
func (c *cluster) makeHome(dir string) (string, error) {
	home, err := c.findHome(dir)
	if err == nil && c.user != nil {
		err = os.Chown(home, int(c.user.Uid), int(c.user.Gid))
	}
	if err != nil {
		return "", fmt.Errorf("make the directory of Postgres's data: %w", err)
	}
	return home, nil
}

// findHome is where the cluster's directory is: in dir, or, where the server's
// user could not get at it there, under /var/lib with a link to it in dir.
func (c *cluster) findHome(dir string) (string, error) {
	home := filepath.Join(dir, clusterName)
	if resolved, err := filepath.EvalSymlinks(home); err == nil {
		return resolved, nil
	}
	// A link that leads nowhere is left of data that was removed by hand.
	if err := os.RemoveAll(home); err != nil {
		return "", err
	}
	if open, err := c.canEnter(dir); open || err != nil {
		return home, errors.Join(err, os.Mkdir(home, 0o700))
	}
	elsewhere, err := os.MkdirTemp("/var/lib", "mcp-postgres-")
	if err != nil {
		return "", err
	}
	return elsewhere, os.Symlink(elsewhere, home)
}

// canEnter reports whether the server's user may pass through dir and all
// that is above it.
func (c *cluster) canEnter(dir string) (bool, error) {
	if c.user == nil {
		return true, nil // this process's own user has made it
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, err
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return false, err
		}
		owner, search := info.Sys().(*syscall.Stat_t), os.FileMode(0o001)
		switch {
		case owner.Uid == c.user.Uid:
			search = 0o100
		case owner.Gid == c.user.Gid:
			search = 0o010
		}
		if info.Mode()&search == 0 {
			return false, nil
		}
		if dir == "/" {
			return true, nil
		}
	}
}

// makePassword reads the password, or makes one. It is in a file because
// arguments can be read by anybody.
func (c *cluster) makePassword() error {
	kept, err := os.ReadFile(c.passwordFile())
	if err == nil {
		c.password = string(kept)
		return nil
	}
	c.password = rand.Text()
	fresh := c.passwordFile() + ".new"
	if err := os.WriteFile(fresh, []byte(c.password), 0o600); err != nil {
		return fmt.Errorf("write Postgres's password: %w", err)
	}
	if c.user != nil {
		if err := os.Chown(fresh, int(c.user.Uid), int(c.user.Gid)); err != nil {
			return fmt.Errorf("give Postgres its password: %w", err)
		}
	}
	return os.Rename(fresh, c.passwordFile())
}

// initialise makes the cluster's data with the database mcp in it, unless it
// is there. It gets its name when it is whole, so that one that was broken
// off is made anew.
func (c *cluster) initialise(ctx context.Context) error {
	if _, err := os.Stat(c.data()); err == nil {
		return nil
	}
	fresh := c.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove data that was never finished: %w", err)
	}
	err := c.run(ctx, "", "initdb", "--pgdata", fresh, "--username=mcp", "--pwfile", c.passwordFile(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C")
	if err != nil {
		return err
	}
	// Single-user mode needs neither a port nor the password.
	if err := c.run(ctx, "create database mcp", "postgres", "--single", "-D", fresh, "postgres"); err != nil {
		return err
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return fmt.Errorf("name Postgres's data: %w", err)
	}
	return nil
}

// run runs one of Postgres's programs to its end, as the server's user.
func (c *cluster) run(ctx context.Context, input, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.programs, program), args...)
	cmd.Dir = c.home
	cmd.Stdin = strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", program, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// disownLock makes sure that the lock file of a server that was killed does
// not keep the next one from starting because some other server of the same
// user has the old one's process id by now, as is likely in a container. It
// puts this process's id in its place, which Postgres knows for its parent's
// and passes over; what else the file says lets Postgres find out whether
// processes of the old server are still at work.
func (c *cluster) disownLock() error {
	note, err := os.ReadFile(c.lockFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Postgres's lock: %w", err)
	}
	pid, rest, _ := strings.Cut(string(note), "\n")
	arguments, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline")) // none: it is gone
	if slices.Contains(strings.Split(string(arguments), "\x00"), c.data()) {
		return nil // the old server itself, still ending
	}
	if err := os.WriteFile(c.lockFile(), []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600); err != nil {
		return fmt.Errorf("disown Postgres's old lock: %w", err)
	}
	return nil
}
