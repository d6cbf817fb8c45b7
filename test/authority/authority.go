// Package authority runs Pebble, an ACME authority for tests, and the DNS server that it
// asks.
package authority

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Options are where an authority is, and whom it asks.
type Options struct {
	// Programs is the directory of pebble and pebble-challtestsrv.
	Programs string
	// Dir is a directory for its files.
	Dir string
	// IP is where it listens; "" for 127.0.0.1.
	IP string
	// HTTP and HTTPS are the ports to which it connects for its challenges.
	HTTP, HTTPS int
	// Leads is the address to which every hostname leads that Lead does not name; "" for
	// none.
	Leads string
}

// Authority is a running Pebble.
type Authority struct {
	// Directory is the URL of its ACME directory, and Root the file of the certificate by
	// which that is trusted.
	Directory, Root string
	// Port is that of Directory.
	Port int
	// Issuers verify the certificates that it issues.
	Issuers *x509.CertPool

	names    string // URL of what manages the hostnames
	programs []*program
}

// startTime bounds the start of a program, and callTime a request to one.
const (
	startTime = time.Minute
	callTime  = 10 * time.Second
)

// Start starts an authority, until Stop.
func Start(o Options) (a *Authority, err error) {
	a = &Authority{Root: filepath.Join(o.Dir, "pebble.pem")}
	defer func() {
		if err != nil {
			a.Stop()
		}
	}()
	if o.IP == "" {
		o.IP = "127.0.0.1"
	}
	ports, err := freePorts(4)
	if err != nil {
		return a, err
	}
	dns, names := at("127.0.0.1", ports[0]), at("127.0.0.1", ports[1])
	acme, manage := at(o.IP, ports[2]), at("127.0.0.1", ports[3])
	a.Port, a.Directory, a.names = ports[2], "https://"+acme+"/dir", "http://"+names
	if err := selfSigned(a.Root, o.IP, "127.0.0.1"); err != nil {
		return a, err
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": acme, "managementListenAddress": manage, "certificate": a.Root, "privateKey": a.Root,
		"httpPort": o.HTTP, "tlsPort": o.HTTPS, "keyAlgorithm": "ecdsa", "retryAfter": map[string]any{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "the only one", "validityPeriod": 90 * 24 * 3600}},
	}})
	if err != nil {
		return a, err
	}
	file := filepath.Join(o.Dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return a, err
	}
	if err := a.run(names, nil, filepath.Join(o.Programs, "pebble-challtestsrv"), "-dnsserver", dns, "-management", names,
		"-defaultIPv4", o.Leads, "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""); err != nil {
		return a, err
	}
	if err := a.run(manage, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"},
		filepath.Join(o.Programs, "pebble"), "-config", file, "-dnsserver", dns); err != nil {
		return a, err
	}
	a.Issuers, err = a.issuers("https://" + manage + "/roots/0")
	return a, err
}

// Stop ends it.
func (a *Authority) Stop() {
	for _, p := range a.programs {
		p.stop()
	}
}

// Lead has a hostname lead to an address.
func (a *Authority) Lead(host, address string) error {
	body, err := json.Marshal(map[string]any{"host": host, "addresses": []string{address}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.names+"/add-a", bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("lead %s to %s: %s", host, address, response.Status)
	}
	return nil
}

// issuers reads the root of what the authority issues.
func (a *Authority) issuers(url string) (*x509.CertPool, error) {
	own, err := os.ReadFile(a.Root)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(own)
	client := &http.Client{Timeout: callTime, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s is no certificate", url)
	}
	return pool, nil
}

// program is a process of the authority.
type program struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// run starts a program, and waits until it listens.
func (a *Authority) run(listens string, env []string, path string, args ...string) error {
	p := &program{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w (make tools)", path, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // it is killed in the end
	}()
	a.programs = append(a.programs, p)
	for giveUp := time.Now().Add(startTime); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", listens, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s has ended", path)
		default:
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("%s does not listen: %w", path, err)
		}
	}
}

func (p *program) stop() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// freePorts returns ports that no process listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // each is another one
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func at(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

// selfSigned writes a certificate of addresses, and its key, to a file.
func selfSigned(path string, addresses ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	private, keyErr := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err, keyErr); err != nil {
		return err
	}
	text := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return os.WriteFile(path, text, 0o600)
}
