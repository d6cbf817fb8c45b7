package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long something may take that is awaited.
const patience = time.Minute

// readInfo reads the addresses of the platform.
func readInfo() error {
	text, err := os.ReadFile(filepath.Join(shared.dir, ".mcp-dev", "dev.json"))
	if err != nil {
		return err
	}
	var info struct {
		Keys          string `json:"encryption_key_file"`
		ImageRegistry string `json:"image_registry"`
		Podman        string `json:"podman"`
		Edge          any    `json:"edge"`
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return err
	}
	if info.Edge != nil {
		return errors.New("the platform has an edge of its own: the tests start theirs")
	}
	// The edges of the tests go past the gateway, over links that the tests cut.
	port, err := os.ReadFile(filepath.Join(shared.dir, ".mcp-dev", "temporal", "temporal.port"))
	if err != nil {
		return err
	}
	shared.temporal = "127.0.0.1:" + strings.TrimSpace(string(port))
	shared.registry, shared.podman, shared.keys = info.ImageRegistry, info.Podman, info.Keys
	return nil
}

// site is an edge: its directory, its ports, and its way to Temporal. Several processes
// may run for it, one after the other or side by side.
type site struct {
	t              *testing.T
	name, data     string
	config         string
	way            string // the lines of the configuration for its way to Temporal
	address        string // on which it listens
	more           string // of the table edge
	http           int
	https, metrics int
	temporal       *link
}

// newSite returns an edge that has not started. Data is its directory; "" for a new one.
func newSite(t *testing.T, name, data string) *site {
	t.Helper()
	if data == "" {
		data = filepath.Join(t.TempDir(), "data")
	}
	e := &site{t: t, name: name, data: data, address: "127.0.0.1", config: filepath.Join(t.TempDir(), "mcp.toml"), temporal: newLink(t, shared.temporal)}
	e.way = fmt.Sprintf("[temporal]\naddress = %q\nencryption_key_file = %q\n", e.temporal.address, shared.keys)
	for _, port := range []*int{&e.http, &e.https, &e.metrics} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	e.configure(e.http, `directory = "off"`)
	return e
}

// configure writes the configuration, with the table of its ACME authority.
func (e *site) configure(http int, acme string) {
	e.t.Helper()
	require.NoError(e.t, os.WriteFile(e.config, fmt.Appendf(nil, `
%s
[node]
machine = %q
[edge]
name    = %q
data    = %q
listen  = %q
ports   = {80 = %d, 443 = %d}
metrics = "127.0.0.1:%d"
%s
[edge.acme]
%s
`, e.way, filepath.Join(shared.dir, ".mcp-dev", "machine"), e.name, e.data, e.address, http, e.https, e.metrics, e.more, acme), 0o600))
}

// process is a running mcp-edge.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  string // a file: a process that it starts has it too, and may live longer
	done chan struct{}
}

// start starts a process of the edge. It ends with the test.
func (e *site) start() *process {
	e.t.Helper()
	return e.startWith(nil)
}

// startWith adds variables to the process's environment.
func (e *site) startWith(env []string) *process {
	e.t.Helper()
	p := &process{t: e.t, done: make(chan struct{})}
	p.cmd = exec.Command(shared.edge, "--config", e.config, "--drain", "10s")
	p.cmd.Env = append(os.Environ(), env...)
	log, err := os.CreateTemp(e.t.TempDir(), "log")
	require.NoError(e.t, err)
	defer log.Close()
	p.log, p.cmd.Stderr = log.Name(), log
	require.NoError(e.t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // its exit code is checked
	}()
	e.t.Cleanup(func() {
		p.kill()
		if e.t.Failed() {
			e.t.Logf("the log of %s, process %d:\n%s", e.name, p.cmd.Process.Pid, p.said())
		}
	})
	return p
}

// said returns what the process has logged.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// kill ends the process as a loss of power would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends the process in order.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(p.t, p.ends(), p.said())
}

// ends waits for the end of the process and returns its exit code.
func (p *process) ends() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("the edge does not end:\n%s", p.said())
	}
	return p.cmd.ProcessState.ExitCode()
}

// at is where the edge serves port 443.
func (e *site) at() string { return fmt.Sprintf("%s:%d", e.address, e.https) }

// get fetches a hostname through the edge.
func (e *site) get(host string) (string, error) {
	root, err := os.ReadFile(filepath.Join(e.data, "ca", "root.crt"))
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", e.at())
		},
	}}
	return fetch(&client, "https://"+host)
}

func fetch(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}

// serves waits until the hostname is answered with that.
func (e *site) serves(host, want string) {
	e.t.Helper()
	var got string
	var err error
	await(e.t, func() bool {
		got, err = e.get(host)
		return err == nil && got == want
	}, func() string { return fmt.Sprintf("%s answers %q (%v), not %q", host, got, err, want) })
}

// during fetches a hostname again and again while do runs, and returns how often. Each
// must succeed.
func (e *site) during(host string, do func()) (requests int) {
	e.t.Helper()
	end := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-end:
				return
			default:
			}
			requests++
			if _, err := e.get(host); err != nil {
				failed <- err
				return
			}
		}
	}()
	do()
	close(end)
	require.NoError(e.t, <-failed)
	return requests
}

// notified is the socket on which systemd is notified.
type notified struct {
	path string
	conn *net.UnixConn
}

func newNotified(t *testing.T) *notified {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &notified{path, conn}
}

// mainPID waits for the next notification that an edge serves.
func (n *notified) mainPID(t *testing.T) (pid int) {
	t.Helper()
	require.NoError(t, n.conn.SetDeadline(time.Now().Add(patience)))
	message := make([]byte, 1024)
	length, err := n.conn.Read(message)
	require.NoError(t, err)
	_, err = fmt.Sscanf(string(message[:length]), "READY=1\nMAINPID=%d", &pid)
	require.NoError(t, err, string(message[:length]))
	return pid
}

// ready waits until the process is ready.
func (e *site) ready() {
	e.t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var got string
	var err error
	await(e.t, func() bool {
		got, err = fetch(&client, fmt.Sprintf("http://127.0.0.1:%d/readyz", e.metrics))
		return err == nil
	}, func() string { return fmt.Sprintf("not ready: %s %v", got, err) })
}

// listens reports whether the edge listens on port 443.
func (e *site) listens() bool {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", e.https))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// await waits until a condition holds.
func await(t *testing.T, holds func() bool, why func() string) {
	t.Helper()
	for giveUp := time.Now().Add(patience); !holds(); {
		if time.Now().After(giveUp) {
			t.Fatal(why())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// link is a way to a server that can be cut.
type link struct {
	address string
	mu      sync.Mutex
	cut     bool
	open    map[net.Conn]bool
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{address: listener.Addr().String(), open: map[net.Conn]bool{}}
	t.Cleanup(func() { listener.Close(); l.set(true) })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go l.join(from, to)
		}
	}()
	return l
}

func (l *link) join(from net.Conn, to string) {
	defer from.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	if !l.add(from) {
		return
	}
	go func() {
		_, _ = io.Copy(server, from)
		server.Close()
	}()
	_, _ = io.Copy(from, server)
	l.mu.Lock()
	delete(l.open, from)
	l.mu.Unlock()
}

func (l *link) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = true
	return !l.cut
}

// set cuts the link, or restores it.
func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	for c := range l.open {
		if cut {
			c.Close()
		}
	}
}

// deploy deploys a service whose container answers with a text at SERVICE.localhost.
func deploy(t *testing.T, service, text string) {
	t.Helper()
	deployAt(t, service, text, service+".localhost")
}

// deployAt deploys a service whose container answers with a text at hostnames.
func deployAt(t *testing.T, service, text string, hostnames ...string) {
	t.Helper()
	list, err := json.Marshal(hostnames)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(shared.dir, "services", service+".toml"), fmt.Appendf(nil, `
name = %q
node = "local"
path = "app"
[build.images]
app = "Containerfile"
[[components]]
name  = "web"
image = "%s/app:v1"
env   = { TEXT = %q }
[[components.routes]]
name     = "http"
port     = 443
mode     = "l7"
hostname = %s
`, service, shared.registry, text, list), 0o644))
	mcp(t, "deploy", service)
}
