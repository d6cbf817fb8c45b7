package server_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/edge/server"
	"github.com/metacircular/mcp/internal/fleet"
)

// child is the environment variable that makes this program an edge.
const child = "MCP_TEST_EDGE"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		if err := serveAsChild(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// spec is what an edge in a process of its own serves.
type spec struct {
	Data         string
	Address      string
	Ports        map[int]int
	Publications []fleet.Publication
	ACME         *acmeSpec
	Shared       string // the address of a storage that edges share; "" for none
	Name         string // of the edge, at that storage
	Drain        time.Duration
}

type acmeSpec struct {
	Directory string
	Root      []byte
}

// serveAsChild serves until in ends, or a new process takes over.
func serveAsChild(in io.Reader, out io.Writer) error {
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	var of spec
	if err := json.Unmarshal(line, &of); err != nil {
		return err
	}
	p := proxy.New(proxy.Options{})
	options := server.Options{
		Proxy: p, Address: cmp.Or(of.Address, "127.0.0.1"), Ports: of.Ports, Data: of.Data, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Renewal: server.Renewal{Retry: 100 * time.Millisecond},
	}
	if of.ACME != nil {
		options.ACME = authority(of.ACME)
	}
	if of.Shared != "" {
		if options.Storage, err = openShared(of); err != nil {
			return err
		}
	}
	s, err := server.Start(context.Background(), options)
	if err != nil {
		return err
	}
	for _, problem := range s.Apply(p.Publish(of.Publications...)) {
		fmt.Fprintln(os.Stderr, problem)
	}
	fmt.Fprintln(out, "ready")
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, r); close(ended) }()
	select {
	case <-ended:
	case <-s.Taken():
		fmt.Fprintln(out, "taken")
	}
	ctx, cancel := context.WithTimeout(context.Background(), of.Drain)
	defer cancel()
	s.Stop(ctx)
	fmt.Fprintln(out, "stopped")
	return nil
}

func authority(of *acmeSpec) *server.ACME {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(of.Root)
	return &server.ACME{Directory: of.Directory, Roots: roots}
}

// process is an edge in a process of its own.
type process struct {
	*exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// startProcess starts an edge, and returns when it serves.
func startProcess(t *testing.T, of spec) *process {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	p := &process{Cmd: exec.Command(program)}
	p.Env = append(os.Environ(), child+"=1")
	p.Stderr = &logged{t: t}
	p.stdin, err = p.StdinPipe()
	require.NoError(t, err)
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(out)
	require.NoError(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	require.NoError(t, json.NewEncoder(p.stdin).Encode(of))
	p.await(t, "ready")
	return p
}

// await reads the process's output up to a line.
func (p *process) await(t *testing.T, line string) {
	t.Helper()
	for p.lines.Scan() {
		if p.lines.Text() == line {
			return
		}
	}
	require.Fail(t, "the edge has ended without "+line)
}

// logged writes to the log of a test, until it ends.
type logged struct {
	t  *testing.T
	mu sync.Mutex
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t.Context().Err() == nil {
		l.t.Log(string(p))
	}
	return len(p), nil
}

// edge is a server of this process.
type edge struct {
	*server.Server
	proxy *proxy.Proxy
	ports map[int]int
	data  string
}

// start starts a server that listens on free ports for each of the routes' ports, and
// serves the publications.
func start(t *testing.T, change func(*server.Options), publications ...fleet.Publication) *edge {
	t.Helper()
	e := &edge{ports: freePorts(t, publications), data: t.TempDir()}
	e.proxy = proxy.New(proxy.Options{ClientIdle: time.Second, Listening: func(port int) int { return e.ports[port] }})
	o := server.Options{
		Proxy: e.proxy, Address: "127.0.0.1", Ports: e.ports, Data: e.data,
		Log: slog.New(slog.NewTextHandler(&logged{t: t}, nil)),
	}
	if change != nil {
		change(&o)
	}
	var err error
	e.Server, err = server.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		e.Stop(ctx)
	})
	if len(publications) > 0 {
		require.Empty(t, e.Apply(e.proxy.Publish(publications...)))
	}
	return e
}

// freePorts returns a free port for each port of the routes, and for 80 and 443.
func freePorts(t *testing.T, publications []fleet.Publication) map[int]int {
	t.Helper()
	ports := map[int]int{80: 0, 443: 0}
	for _, p := range publications {
		for _, r := range p.Routes {
			ports[r.Endpoint.Port] = 0
		}
	}
	for port := range ports {
		ports[port] = freePort(t)
	}
	return ports
}

// freePort returns a port that is free for tcp and udp. It is below those that the
// kernel gives to clients, so that no connection takes it meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 10000 + int(ports.next())%20000
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		c, err := net.ListenPacket("udp", address(port))
		_ = l.Close()
		if err != nil {
			continue
		}
		_ = c.Close()
		return port
	}
	require.Fail(t, "no port is free")
	return 0
}

var ports counter

type counter struct {
	mu sync.Mutex
	n  uint32
}

func (c *counter) next() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == 0 {
		c.n = uint32(os.Getpid()) * 7919
	}
	c.n += 13
	return c.n
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// upstream serves HTTP as a container does, and returns its address.
func upstream(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	u := httptest.NewServer(h)
	t.Cleanup(u.Close)
	return u.Listener.Addr().String()
}

// says answers every request with a text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// l7 returns a route to an http upstream.
func l7(port int, host, to string) fleet.EdgeRoute {
	return fleet.EdgeRoute{
		Endpoint:   fleet.Endpoint{Port: port, Protocol: fleet.ProtocolHTTP, Hostname: host},
		Components: []string{"web"}, Name: "http", Upstreams: []string{to},
	}
}

// l4 returns a route to a tcp or udp upstream.
func l4(port int, protocol, name, to string) fleet.EdgeRoute {
	return fleet.EdgeRoute{
		Endpoint:   fleet.Endpoint{Port: port, Protocol: protocol, Hostname: name},
		Components: []string{"web"}, Name: "tcp", Upstreams: []string{to},
	}
}

var version int64

// publish returns a publication, newer than those before it.
func publish(service string, routes ...fleet.EdgeRoute) fleet.Publication {
	version++
	return fleet.Publication{Service: service, Version: version, Routes: routes}
}

// trusting returns a configuration of clients that trust the edge's own authority.
func (e *edge) trusting(t *testing.T) *tls.Config {
	t.Helper()
	root, err := e.Root(t.Context())
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(root))
	return &tls.Config{RootCAs: roots}
}

// client returns a client that connects to the edge whatever the URL names, and
// follows no redirect.
func (e *edge) client(config *tls.Config, protocol string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "HTTP/1.1")
	protocols.SetHTTP2(protocol == "HTTP/2.0")
	if config != nil {
		config = config.Clone() // which a transport changes
	}
	transport := &http.Transport{
		TLSClientConfig: config,
		Protocols:       protocols,
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(to)
			number, _ := strconv.Atoi(port)
			if mapped, ok := e.ports[number]; ok {
				number = mapped
			}
			return new(net.Dialer).DialContext(ctx, network, address(number))
		},
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is a response without its body.
type answer struct {
	status int
	proto  string
	header http.Header
}

// get fetches a URL, and returns the response and its body.
func get(t require.TestingT, c *http.Client, url string) (answer, string) {
	response, err := c.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, response.Proto, response.Header}, string(text)
}

// refused fetches a URL, and requires an error.
func refused(t *testing.T, c *http.Client, url, want string) {
	t.Helper()
	response, err := c.Get(url)
	if err == nil {
		_ = response.Body.Close()
	}
	require.ErrorContains(t, err, want)
}

// secured waits until a hostname has a certificate.
func (e *edge) secured(t *testing.T, hosts ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		have := map[string]fleet.Certificate{}
		for _, certificate := range e.Certificates() {
			have[certificate.Hostname] = certificate
		}
		for _, host := range hosts {
			require.NotEmpty(c, have[host].Issuer, "%s: %+v", host, have[host])
		}
	}, time.Minute, 20*time.Millisecond)
}
