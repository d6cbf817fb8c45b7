package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/server"
)

// pebble is an ACME authority, with the DNS server that it asks.
type pebble struct {
	acmeSpec
	manage string // where its roots are
	dns    string // the address of the DNS server
	server *exec.Cmd
}

// startPebble starts an authority that connects to the ports for its challenges, and
// finds every hostname at 127.0.0.1 with its own DNS server, or with the one given.
func startPebble(t *testing.T, ports map[int]int, valid time.Duration, dns string) *pebble {
	t.Helper()
	dir := t.TempDir()
	listen, manage := freePort(t), freePort(t)
	if dns == "" {
		server, point := startDNS(t)
		point("127.0.0.1")
		dns = server
	}
	root := selfSigned(t, filepath.Join(dir, "pebble.pem"), time.Hour, "localhost", "127.0.0.1")
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address(listen), "managementListenAddress": address(manage),
		"certificate": filepath.Join(dir, "pebble.pem"), "privateKey": filepath.Join(dir, "pebble.pem"),
		"httpPort": ports[80], "tlsPort": ports[443], "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]any{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "the only one", "validityPeriod": int(valid.Seconds())}},
	}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pebble.json"), config, 0o600))
	p := &pebble{
		acmeSpec: acmeSpec{Directory: fmt.Sprintf("https://%s/dir", address(listen)), Root: root},
		manage:   fmt.Sprintf("https://%s/roots/0", address(manage)), dns: dns,
	}
	p.server = startTool(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"}, "pebble", "-config", filepath.Join(dir, "pebble.json"), "-dnsserver", dns)
	p.roots(t)
	return p
}

// startDNS starts a DNS server, and returns its address. It has no address of any
// hostname before point is called, and the same one of each after that.
func startDNS(t *testing.T) (dns string, point func(ip string)) {
	t.Helper()
	at, control := freePort(t), freePort(t)
	startTool(t, nil, "pebble-challtestsrv", "-dnsserver", address(at), "-management", address(control), "-defaultIPv4", "", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	point = func(ip string) {
		response, err := http.Post("http://"+address(control)+"/set-default-ipv4", "", strings.NewReader(fmt.Sprintf(`{"ip": %q}`, ip)))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for _, port := range []int{at, control} {
			conn, err := net.Dial("tcp", address(port))
			require.NoError(c, err)
			_ = conn.Close()
		}
	}, time.Minute, 20*time.Millisecond)
	return address(at), point
}

// roots waits for the authority, and returns the roots of what it signs.
func (p *pebble) roots(t *testing.T) *tls.Config {
	t.Helper()
	trusted, signed := x509.NewCertPool(), x509.NewCertPool()
	trusted.AppendCertsFromPEM(p.Root)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	defer c.CloseIdleConnections()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		_, text := get(collect, c, p.manage)
		require.True(collect, signed.AppendCertsFromPEM([]byte(text)))
	}, time.Minute, 50*time.Millisecond)
	return &tls.Config{RootCAs: signed}
}

// startTool starts a program of bin/, until the test ends.
func startTool(t *testing.T, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := filepath.Abs("../../bin/" + name)
	require.NoError(t, err)
	require.FileExists(t, path, "run: make bin/"+name)
	command := exec.Command(path, args...)
	command.Env = append(os.Environ(), env...)
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	return command
}

// selfSigned writes a certificate and its key to a file, and returns the certificate.
func selfSigned(t *testing.T, path string, valid time.Duration, names ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "of the operator"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(valid),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text := slices.Concat(public, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	temp := path + ".new"
	require.NoError(t, os.WriteFile(temp, text, 0o600))
	require.NoError(t, os.Rename(temp, path))
	return public
}

func TestACME(t *testing.T) {
	web := upstream(t, says("hello"))
	routes := publish("shop", l7(443, "shop.example", web), l7(443, "shop.internal", web), l7(443, "*.shop.example", web))
	// One port at a time, so that only one challenge can be answered.
	for _, challenge := range []struct {
		name   string
		closed int
	}{{"HTTP-01", 443}, {"TLS-ALPN-01", 80}} {
		t.Run(challenge.name, func(t *testing.T) {
			ports := freePorts(t, nil)
			reached := maps.Clone(ports)
			reached[challenge.closed] = freePort(t) // where nothing listens
			p := startPebble(t, reached, 90*24*time.Hour, "")
			e := start(t, func(o *server.Options) {
				o.Ports, o.ACME, o.Renewal.Retry = ports, authority(&p.acmeSpec), 50*time.Millisecond
			})
			e.ports = ports
			problems := e.Apply(e.proxy.Publish(routes))
			require.Equal(t, []string{"*.shop.example has no certificate: an authority signs a wildcard only after a DNS-01 challenge; set edge.acme.dns, or name a file in edge.certificates"}, problems)
			e.secured(t, "shop.example", "shop.internal")
			_, text := get(t, e.client(p.roots(t), "HTTP/2.0"), "https://shop.example/")
			require.Equal(t, "hello", text)
			_, text = get(t, e.client(e.trusting(t), "HTTP/2.0"), "https://shop.internal/")
			require.Equal(t, "hello", text)
			for _, c := range e.Certificates() {
				require.Empty(t, c.Problem)
				require.Equal(t, c.Hostname != "*.shop.example", c.Issuer != "", "%+v", c)
				require.Equal(t, c.Hostname == "shop.example", strings.HasPrefix(c.Issuer, "Pebble"), "%+v", c)
			}
		})
	}
}

// A certificate that the authority refuses is a problem with its cause, and none when
// the authority signs it. One that is due is renewed, and served, without a new start.
func TestFailureAndRenewal(t *testing.T) {
	web := upstream(t, says("hello"))
	ports := freePorts(t, nil)
	dns, point := startDNS(t)
	p := startPebble(t, ports, 90*24*time.Hour, dns) // for which no hostname has an address
	e := start(t, func(o *server.Options) {
		o.Ports, o.ACME = ports, authority(&p.acmeSpec)
		o.Renewal = server.Renewal{Window: 0.9999999, Check: 200 * time.Millisecond, Retry: 100 * time.Millisecond}
	})
	e.ports = ports
	require.Empty(t, e.Apply(e.proxy.Publish(publish("shop", l7(443, "shop.example", web)))))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		state := e.Certificates()[0]
		require.Contains(c, state.Problem, "shop.example")
		require.Contains(c, state.Problem, "urn:ietf:params:acme:error:")
		require.WithinDuration(c, time.Now(), state.Failed, time.Minute)
		require.Empty(c, state.Issuer)
	}, time.Minute, 20*time.Millisecond)

	point("127.0.0.1")
	e.secured(t, "shop.example")
	first := e.Certificates()[0]
	require.Empty(t, first.Problem)
	require.Zero(t, first.Failed)
	serial := served(t, e, "shop.example")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.NotEqual(c, serial, served(c, e, "shop.example"))
	}, time.Minute, 100*time.Millisecond)
}

// An edge that does not reach the authority serves what another one has obtained, long
// before its own next attempt.
func TestAnEdgeFindsWhatAnotherHasObtained(t *testing.T) {
	routes := publish("shop", l7(443, "shop.example", upstream(t, says("hello"))))
	ports := freePorts(t, nil)
	p := startPebble(t, ports, 90*24*time.Hour, "")
	shared := &certmagic.FileStorage{Path: t.TempDir()}
	lost := start(t, func(o *server.Options) {
		o.ACME = &server.ACME{Directory: p.Directory, Roots: x509.NewCertPool()} // it trusts no authority
		o.Storage, o.Renewal.Retry = shared, time.Hour
	})
	require.Empty(t, lost.Apply(lost.proxy.Publish(routes)))
	require.Eventually(t, func() bool { return lost.Certificates()[0].Problem != "" }, time.Minute, 20*time.Millisecond)
	one := start(t, func(o *server.Options) { o.Ports, o.ACME, o.Storage = ports, authority(&p.acmeSpec), shared })
	one.ports = ports
	require.Empty(t, one.Apply(one.proxy.Publish(routes)))
	one.secured(t, "shop.example")
	lost.secured(t, "shop.example")
	require.Equal(t, served(t, one, "shop.example"), served(t, lost, "shop.example"))
	require.Empty(t, lost.Certificates()[0].Problem)
}

// served returns the serial number of the certificate that an edge serves.
func served(t require.TestingT, e *edge, host string) string {
	c, err := tls.Dial("tcp", address(e.ports[443]), &tls.Config{ServerName: host, InsecureSkipVerify: true})
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}
