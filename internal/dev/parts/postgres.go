package parts

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// PostgresOptions configure a private Postgres server.
type PostgresOptions struct {
	// Dir holds the log, the port's number and the cluster, or a link to it.
	Dir string
	// Port is the port to listen on; 0 means that of the last start, or a free
	// one.
	Port int
	// Unsafe does not wait for the disk at a commit: data that a server has written
	// outlives that server, but not the machine. It is for tests.
	Unsafe bool
}

// Postgres is a running private Postgres server.
type Postgres struct {
	*Process
	// Dir is the directory it was started in.
	Dir      string
	port     int
	password string
}

// settle is how long a start waits for the remains of a server that was killed in
// the same directory: its backends and its port.
const settle = 10 * time.Second

// StartPostgres starts a Postgres server on 127.0.0.1 and waits until it accepts
// connections. A second start in the same Dir finds the data of the first,
// however that has ended. The server flushes each commit to the disk.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find Postgres's directory: %w", err)
	}
	if err := makeDir(dir, 0o755, clusterName); err != nil {
		return nil, fmt.Errorf("make Postgres's directory: %w", err)
	}
	cluster, err := openCluster(ctx, dir, o.Unsafe)
	if err != nil {
		return nil, err
	}
	p := &Postgres{Dir: dir, password: cluster.password}
	for giveUp := time.Now().Add(settle); ; time.Sleep(100 * time.Millisecond) {
		if p.port, err = choosePort(dir, o.Port); err != nil {
			return nil, err
		}
		if p.Process, err = cluster.start(ctx, dir, p.port, o.Unsafe); err == nil {
			break
		}
		if !contended(err) || time.Now().After(giveUp) {
			return nil, err
		}
	}
	if err := os.WriteFile(portFile(dir), []byte(strconv.Itoa(p.port)), 0o600); err != nil {
		p.Stop()
		return nil, fmt.Errorf("record Postgres's port: %w", err)
	}
	return p, nil
}

// URL returns the address of the database mcp, with its password.
func (p *Postgres) URL() string {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("mcp", p.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		Path:     "/mcp",
		RawQuery: "sslmode=disable", // it has no certificate, and serves this host alone
	}
	return address.String()
}

// Stop stops the server; its data stays.
func (p *Postgres) Stop() { p.Process.Stop() }

// Destroy stops the server and removes its data.
func (p *Postgres) Destroy() error {
	p.Stop()
	return RemovePostgres(p.Dir)
}

// RemovePostgres removes the files of a stopped server from dir, and its cluster
// if that is elsewhere.
func RemovePostgres(dir string) error {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return nil // a link may lead to what is not mcp's
	}
	if data, err := clusterElsewhere(filepath.Join(dir, clusterName)); err == nil {
		if err := os.RemoveAll(data); err != nil {
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

// choosePort returns wanted, or if that is 0 the last port if it is free, or any
// free port.
func choosePort(dir string, wanted int) (int, error) {
	if wanted != 0 {
		return wanted, nil
	}
	if recorded, err := os.ReadFile(portFile(dir)); err == nil {
		wanted, _ = strconv.Atoi(string(recorded)) // 0, any port, if it is corrupt
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
