package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// body is what the upstream answers.
var body = strings.Repeat("mcp ", 256)

// site is what all proxies serve: hostnames whose requests go to one upstream.
type site struct {
	dir string
	// hosts begins with localhost, the one over https: wrk asks for the name in its URL.
	hosts             []string
	hostsScript       string
	certificate, key  string
	upstream          string // host:port
	programs          []*exec.Cmd
	programsMustStart time.Duration
}

// newSite starts the upstream and writes what the proxies need.
func newSite(ctx context.Context, dir string, n int) (*site, error) {
	s := &site{dir: dir, hosts: []string{"localhost"}, programsMustStart: time.Minute}
	for i := 1; i < n; i++ {
		s.hosts = append(s.hosts, fmt.Sprintf("service-%d.example", i))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.writeScript(); err != nil {
		return nil, err
	}
	if err := s.writeCertificate(); err != nil {
		return nil, err
	}
	return s, s.startUpstream(ctx)
}

// writeScript writes the program with which wrk asks for one hostname after another.
func (s *site) writeScript() error {
	s.hostsScript = filepath.Join(s.dir, "hosts.lua")
	return os.WriteFile(s.hostsScript, []byte(`local requests, next = {}, 0
init = function()
  for _, host in ipairs({"`+strings.Join(s.hosts, `", "`)+`"}) do
    requests[#requests + 1] = wrk.format("GET", "/", {["Host"] = host})
  end
end
request = function()
  next = next % #requests + 1
  return requests[next]
end
`), 0o600)
}

// writeCertificate writes a self-signed certificate for all hostnames: wrk does not
// verify it.
func (s *site) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: s.hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	s.certificate, s.key = filepath.Join(s.dir, "tls.crt"), filepath.Join(s.dir, "tls.key")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	// HAProxy reads both from one file.
	return errors.Join(os.WriteFile(s.certificate, cert, 0o600), os.WriteFile(s.key, secret, 0o600),
		os.WriteFile(filepath.Join(s.dir, "tls.pem"), append(cert, secret...), 0o600))
}

// startUpstream starts an nginx that answers every request with the body.
func (s *site) startUpstream(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.upstream = fmt.Sprintf("127.0.0.1:%d", port)
	return s.startNginx(ctx, "upstream", fmt.Sprintf(`server {
	listen 127.0.0.1:%d;
	location / { default_type text/plain; return 200 "%s"; }
}`, port, body), s.upstream)
}

// start starts a program and waits until its addresses accept connections. Its output
// goes to a file named after it.
func (s *site) start(ctx context.Context, name string, c *exec.Cmd, addresses ...string) error {
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	s.programs = append(s.programs, c)
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, s.programsMustStart)
	defer cancel()
	for _, address := range addresses {
		for {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err == nil {
				conn.Close()
				break
			}
			select {
			case err := <-ended:
				text, _ := os.ReadFile(log.Name())
				return fmt.Errorf("%s has ended: %w: %s", name, err, text)
			case <-ctx.Done():
				text, _ := os.ReadFile(log.Name())
				return fmt.Errorf("%s does not listen on %s: %w: %s", name, address, context.Cause(ctx), text)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// stop ends every program, with the processes that it has started.
func (s *site) stop() {
	for _, c := range s.programs {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	}
}

// freePort returns a port of the loopback interface on which nothing listens.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
