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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

// clusterName, in a server's directory, names the cluster or a link to it.
const clusterName = "cluster"

// cluster is a server's data with the programs, the user and the password to
// serve it.
type cluster struct {
	programs string
	dir      string
	// user is the user the server runs as; nil means that of this process.
	user     *syscall.Credential
	password string
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *cluster) lockFile() string { return filepath.Join(c.data(), "postmaster.pid") }

func (c *cluster) passwordFile() string { return filepath.Join(c.dir, "password") }

// openCluster opens the cluster of a server's directory, and creates it if it is
// missing.
func openCluster(ctx context.Context, dir string, unsafe bool) (*cluster, error) {
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
	if c.dir, err = c.makeDir(dir); err != nil {
		return nil, err
	}
	if err := c.makePassword(); err != nil {
		return nil, err
	}
	return c, c.initialise(ctx, unsafe)
}

// postgresPrograms returns the directory of Postgres's programs. Debian installs
// them by version, outside PATH.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is valid
	if len(found) == 0 {
		return "", errors.New("find Postgres's initdb in PATH or /usr/lib/postgresql: install the Debian package postgresql")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // 0, the oldest, if it is not a number
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// postgresUser returns the user the server runs as when this process is root,
// because Postgres refuses to run as root.
func postgresUser() (*syscall.Credential, error) {
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find the user that Postgres runs as (the Debian package postgresql creates it): %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
}

// makeDir finds or creates the cluster's directory and makes the server's user
// its owner.
func (c *cluster) makeDir(dir string) (string, error) {
	path, err := c.findDir(dir)
	if err == nil && c.user != nil {
		err = os.Lchown(path, int(c.user.Uid), int(c.user.Gid))
	}
	if err != nil {
		return "", fmt.Errorf("make the directory of Postgres's data: %w", err)
	}
	return path, nil
}

// findDir returns the cluster's directory: in dir or, if the server's user has
// no access there, under /var/lib with a link to it in dir.
func (c *cluster) findDir(dir string) (string, error) {
	path := filepath.Join(dir, clusterName)
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.IsDir():
		return path, nil
	case err == nil:
		data, err := clusterElsewhere(path)
		if err != nil {
			return "", err
		}
		if _, err := os.Lstat(data); err == nil {
			return data, nil
		}
		// A dangling link remains from data that was removed by hand.
		if err := os.Remove(path); err != nil {
			return "", err
		}
	}
	if open, err := c.canEnter(dir); open || err != nil {
		return path, errors.Join(err, os.Mkdir(path, 0o700))
	}
	data, err := os.MkdirTemp("/var/lib", "mcp-postgres-")
	if err != nil {
		return "", err
	}
	return data, os.Symlink(data, path)
}

var clusterPattern = regexp.MustCompile(`^/var/lib/mcp-postgres-[0-9]+$`)

// clusterElsewhere returns the directory of a cluster that the link at path names. Only
// root makes such links, and the server's user owns the directory.
func clusterElsewhere(path string) (string, error) {
	users := []uint32{uint32(os.Geteuid())}
	if server, err := postgresUser(); err == nil {
		users = append(users, server.Uid)
	}
	return elsewhere(path, clusterPattern, users...)
}

// canEnter reports whether the server's user may enter dir and all its parents.
func (c *cluster) canEnter(dir string) (bool, error) {
	if c.user == nil {
		return true, nil // this process's user created it
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

// makePassword reads the password, or generates one. It is in a file because
// any user can read a process's arguments.
func (c *cluster) makePassword() error {
	kept, err := os.ReadFile(c.passwordFile())
	if err == nil {
		c.password = string(kept)
		return nil
	}
	c.password = rand.Text()
	file, err := renameio.NewPendingFile(c.passwordFile(), renameio.WithTempDir(filepath.Dir(c.passwordFile())))
	if err != nil {
		return fmt.Errorf("write Postgres's password: %w", err)
	}
	defer func() { _ = file.Cleanup() }()
	if _, err := file.WriteString(c.password); err != nil {
		return fmt.Errorf("write Postgres's password: %w", err)
	}
	if c.user != nil {
		if err := file.Chown(int(c.user.Uid), int(c.user.Gid)); err != nil {
			return fmt.Errorf("give Postgres its password: %w", err)
		}
	}
	return file.CloseAtomicallyReplace()
}

// initialise creates the cluster's data, with the database mcp, unless it
// exists. It is renamed into place when complete, so that an interrupted attempt
// is started over. Unsafe does not wait for the disk.
func (c *cluster) initialise(ctx context.Context, unsafe bool) error {
	if _, err := os.Stat(c.data()); err == nil {
		return nil
	}
	fresh := c.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove incomplete data: %w", err)
	}
	create := []string{"--pgdata", fresh, "--username=mcp", "--pwfile", c.passwordFile(), "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"}
	alone := []string{"--single", "-D", fresh, "postgres"}
	if unsafe {
		create, alone = append(create, "--no-sync"), slices.Insert(alone, 1, "-F")
	}
	if err := c.run(ctx, "", "initdb", create...); err != nil {
		return err
	}
	// Single-user mode needs neither a port nor the password.
	if err := c.run(ctx, "create database mcp", "postgres", alone...); err != nil {
		return err
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return fmt.Errorf("name Postgres's data: %w", err)
	}
	return nil
}

// run runs one of Postgres's programs as the server's user.
func (c *cluster) run(ctx context.Context, input, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.programs, program), args...)
	cmd.Dir = c.dir
	cmd.Stdin = strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", program, err, strings.TrimSpace(string(output)))
	}
	return nil
}
