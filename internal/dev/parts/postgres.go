package parts

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PostgresOptions says where a private Postgres cluster lives.
type PostgresOptions struct {
	// Dir holds the log, the port's number and the cluster, or a link to it.
	Dir string
	// Port is the one to listen on; 0 for the one of the last start, or any
	// that is free.
	Port int
}

// Postgres is a running Postgres server of its own.
type Postgres struct {
	*Process
	// Dir is where it was started.
	Dir      string
	port     int
	password string
}

// settle is how long a start waits for what a server that was killed in the
// same directory has left: backends that still end, and a port.
const settle = 10 * time.Second

// StartPostgres starts a Postgres server on 127.0.0.1 and waits until it takes
// connections. A second start in the same Dir finds the data of the first,
// however that has ended. The server flushes each commit to the disk.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find Postgres's directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make Postgres's directory: %w", err)
	}
	cluster, err := openCluster(ctx, dir)
	if err != nil {
		return nil, err
	}
	p := &Postgres{Dir: dir, password: cluster.password}
	for giveUp := time.Now().Add(settle); ; time.Sleep(100 * time.Millisecond) {
		if p.port, err = choosePort(dir, o.Port); err != nil {
			return nil, err
		}
		if p.Process, err = cluster.start(ctx, dir, p.port); err == nil {
			break
		}
		if !contended(err) || time.Now().After(giveUp) {
			return nil, err
		}
	}
	if err := os.WriteFile(portFile(dir), []byte(strconv.Itoa(p.port)), 0o600); err != nil {
		p.Stop()
		return nil, fmt.Errorf("note Postgres's port: %w", err)
	}
	return p, nil
}

// URL is the address of the database mcp, with its password.
func (p *Postgres) URL() string {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("mcp", p.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		Path:     "/mcp",
		RawQuery: "sslmode=disable", // it has no certificate, and never leaves this host
	}
	return address.String()
}

// Stop ends the server; its data stays.
func (p *Postgres) Stop() { p.Process.Stop() }

// Destroy ends the server and removes its data.
func (p *Postgres) Destroy() error {
	p.Stop()
	return RemovePostgres(p.Dir)
}

// RemovePostgres removes what a server that has been stopped left in Dir, and
// its cluster where that is elsewhere.
func RemovePostgres(dir string) error {
	if elsewhere, err := os.Readlink(filepath.Join(dir, clusterName)); err == nil {
		if err := os.RemoveAll(elsewhere); err != nil {
			return fmt.Errorf("remove Postgres's data: %w", err)
		}
	}
	for _, path := range []string{filepath.Join(dir, clusterName), portFile(dir), logFile(dir)} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove Postgres's data: %w", err)
		}
	}
	return nil
}

func portFile(dir string) string { return filepath.Join(dir, "port") }

func logFile(dir string) string { return filepath.Join(dir, "postgres.log") }

// start starts the server once.
func (c *cluster) start(ctx context.Context, dir string, port int) (*Process, error) {
	if err := c.disownLock(); err != nil {
		return nil, err
	}
	p, err := Start(Command{
		Name: "postgres",
		Path: filepath.Join(c.programs, "postgres"),
		Args: []string{
			"-D", c.data(),
			"-c", "listen_addresses=127.0.0.1",
			"-c", "port=" + strconv.Itoa(port),
			// No socket: its path may be too long, and TCP is enough.
			"-c", "unix_socket_directories=",
			"-c", "shared_buffers=32MB",
		},
		Dir:        c.home,
		LogFile:    logFile(dir),
		Credential: c.user,
		StopSignal: syscall.SIGINT, // "fast": sessions are ended, not waited for
	})
	if err != nil {
		return nil, err
	}
	if err := p.WaitReady(ctx, func(context.Context) error { return c.ready(p.PID()) }); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// ready looks for the note that the server makes when it takes connections,
// as pg_ctl does. The note names its writer, so a server that somebody else
// runs on the same port is not mistaken for this one.
func (c *cluster) ready(pid int) error {
	note, err := os.ReadFile(c.lockFile())
	if err != nil {
		return err
	}
	lines := strings.Split(string(note), "\n")
	if len(lines) < 8 || lines[0] != strconv.Itoa(pid) || strings.TrimSpace(lines[7]) != "ready" {
		return fmt.Errorf("it does not take connections yet")
	}
	return nil
}

// contended reports whether a start failed for something that passes by: the
// last server's processes have not all ended, or its port was taken just now.
func contended(err error) bool {
	for _, sign := range []string{"pre-existing shared memory block", "Address already in use", "lock file \"postmaster.pid\" already exists"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}

// choosePort is the wanted port, or the last one if it is free, or any.
func choosePort(dir string, wanted int) (int, error) {
	if wanted != 0 {
		return wanted, nil
	}
	if noted, err := os.ReadFile(portFile(dir)); err == nil {
		wanted, _ = strconv.Atoi(string(noted)) // unreadable: any will do
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		listener, err = net.Listen("tcp4", "127.0.0.1:0")
	}
	if err != nil {
		return 0, fmt.Errorf("find a free port for Postgres: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
