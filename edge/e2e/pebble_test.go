package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// authority is Pebble, with a DNS server in which every hostname has one address.
type authority struct {
	config string // of edge.acme
	stop   func()
}

// startPebble starts an authority that connects to the ports for its challenges.
func startPebble(t *testing.T, http, https int, ip string) authority {
	t.Helper()
	dir := t.TempDir()
	dns, acme, manage := freePort(t), freePort(t), freePort(t)
	root := filepath.Join(dir, "pebble.pem")
	selfSigned(t, root)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": local(acme), "managementListenAddress": local(manage), "certificate": root, "privateKey": root,
		"httpPort": http, "tlsPort": https, "keyAlgorithm": "ecdsa", "retryAfter": map[string]any{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "the only one", "validityPeriod": 90 * 24 * 3600}},
	}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pebble.json"), config, 0o600))
	tool(t, local(dns), nil, "pebble-challtestsrv", "-dnsserver", local(dns), "-management", local(freePort(t)), "-defaultIPv4", ip, "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	stop := tool(t, local(acme), []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"},
		"pebble", "-config", filepath.Join(dir, "pebble.json"), "-dnsserver", local(dns))
	return authority{fmt.Sprintf("directory = \"https://%s/dir\"\nroot = %q", local(acme), root), stop}
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// tool starts a program of bin/ until the test ends, or stop is called, and waits until
// it listens.
func tool(t *testing.T, listens string, env []string, name string, args ...string) (stop func()) {
	t.Helper()
	path, err := filepath.Abs("../../bin/" + name)
	require.NoError(t, err)
	require.FileExists(t, path, "run: make bin/"+name)
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	require.NoError(t, cmd.Start())
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	await(t, func() bool {
		c, err := net.Dial("tcp", listens)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	}, func() string { return name + " does not listen" })
	return stop
}

// selfSigned writes a certificate of this host, and its key, to a file.
func selfSigned(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	require.NoError(t, os.WriteFile(path, text, 0o600))
}
