package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// finding is one of mcp doctor --json.
type finding struct{ Check, Status, Detail, Hint string }

// nameserver is a DNS server without names but those that it is given, on port 53.
type nameserver struct {
	address string
	mu      sync.Mutex
	names   map[string]string
}

func startNameserver(t *testing.T, address string) *nameserver {
	t.Helper()
	n := &nameserver{address: address, names: map[string]string{}}
	packets, err := net.ListenPacket("udp", address+":53")
	require.NoError(t, err)
	started := make(chan struct{})
	server := &dns.Server{PacketConn: packets, Handler: n, NotifyStartedFunc: func() { close(started) }}
	go func() { _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	return n
}

// leads has a hostname lead to an address.
func (n *nameserver) leads(host, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[host+"."] = address
}

// ServeDNS answers a question.
func (n *nameserver) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	answer := new(dns.Msg).SetReply(question)
	answer.Authoritative = true
	asked := question.Question[0]
	switch address, known := n.names[strings.ToLower(asked.Name)]; {
	case !known:
		answer.Rcode = dns.RcodeNameError
	case asked.Qtype == dns.TypeA:
		answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: asked.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(address)}}
	}
	_ = w.WriteMsg(answer)
}

// doctor runs mcp doctor where names are asked of the DNS server, and returns its
// findings.
func (n *nameserver) doctor(t *testing.T) []finding {
	t.Helper()
	resolver := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(resolver, []byte("nameserver "+n.address+"\n"), 0o644))
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c",
		`mount --bind "$0" /etc/resolv.conf && exec "$@"`, resolver, shared.mcp, "doctor", "--json")
	cmd.Dir = shared.dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // it fails where something is found
	var list []finding
	require.NoError(t, json.Unmarshal(out, &list), "%s%s", out, stderr.String())
	return list
}

// aged writes a certificate of a hostname, of whose 90 days 80 have passed, with its key.
func aged(t *testing.T, host string) (path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	const day = 24 * time.Hour
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-80 * day), NotAfter: time.Now().Add(10 * day), DNSNames: []string{host}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "aged.pem")
	text := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// Doctor finds hostnames that lead elsewhere, containers that an edge does not reach, and
// certificates that fail or should have been renewed, of edges that run.
func TestDoctorFindsWhatIsWrongAtTheEdges(t *testing.T) {
	const address = "127.0.0.21"
	plain := freePort(t)
	e := newSite(t, "sick", "")
	e.address = address
	authority, acme := startPebble(t, plain, e.https, address)
	e.more = fmt.Sprintf("addresses = [%q]\ncertificates = [%q]\n", address, aged(t, "aged.example"))
	e.configure(plain, acme)
	p := e.start()
	await(t, func() bool { return strings.Contains(p.said(), "not admitted yet") }, p.said)
	names := startNameserver(t, "127.0.0.22")

	var list []finding
	// finds waits until doctor finds that.
	finds := func(check, status, detail, hint string) {
		t.Helper()
		pattern := regexp.MustCompile(detail)
		await(t, func() bool {
			list = names.doctor(t)
			return slices.ContainsFunc(list, func(f finding) bool {
				return f.Check == check && f.Status == status && pattern.MatchString(f.Detail) && strings.Contains(f.Hint, hint)
			})
		}, func() string { return fmt.Sprintf("no %q of %q with %q: %+v", status, check, detail, list) })
	}
	finds("edge sick", "warn", "its key has the fingerprint "+fingerprint(t, p.said()), "mcp edge admit sick")
	mcp(t, "edge", "admit", "sick", "-y")
	t.Cleanup(func() { mcp(t, "edge", "remove", "sick", "-y") })

	names.leads("well.example", address)
	names.leads("aged.example", "192.0.2.7")
	t.Cleanup(func() {
		for _, service := range []string{"well", "poor"} {
			mcp(t, "undeploy", service, "-y")
		}
	})
	deployAt(t, "well", "hello", "well.example")
	finds("certificates of edge sick", "ok", `^\d+ certificates?; the first expires `, "")
	finds("dns", "ok", `^\d+ hostnames? leads? to the edges$`, "")
	finds("reach of local from edge sick", "ok", `^it reaches \d+ containers?$`, "")
	finds("edge sick", "ok", `has the newest routes of \d+ services?`, "")

	authority.Stop()
	deployAt(t, "poor", "hello", "late.example", "aged.example")
	finds("certificate of late.example at edge sick", "fail", "^there is none .*", "mcp edge show sick")
	finds("certificate of aged.example at edge sick", "warn", "less than a third of its life is left", "")
	finds("dns of late.example", "fail", "has no address; the edges have "+address, "A or AAAA")
	finds("dns of aged.example", "warn", "^aged.example leads to 192.0.2.7, and the edges have "+address+"$", "[edge] addresses")

	// A container that has died without mcp, and an edge that has.
	engine := exec.Command("podman", "--remote", "--url", shared.podman, "kill", "poor-web")
	out, err := engine.CombinedOutput()
	require.NoError(t, err, string(out))
	finds("reach of local from edge sick", "fail", `^it does not reach 127\.0\.0\.1:\d+ of poor: .*connection refused`, "[node] publish")
	p.kill()
	finds("edge sick", "fail", "edge sick is away", "mcp edge remove sick")
}
