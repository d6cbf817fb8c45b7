package threat

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/alert"
	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/registry"
)

// tlsHandshake is the first byte of a connection with TLS.
const tlsHandshake = 0x16

// elsewhere is a server at an address of this host that is not one of loopback, as that
// of another machine would be. It counts the connections without TLS that reach it.
type elsewhere struct {
	host, port string
	reached    atomic.Int32
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{}
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			e.host = network.IP.String()
			break
		}
	}
	require.NotEmpty(t, e.host, "this host has an address besides those of loopback")
	listener, err := net.Listen("tcp", net.JoinHostPort(e.host, "0"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	_, e.port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			first := make([]byte, 1)
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			if n, _ := conn.Read(first); n == 0 || first[0] != tlsHandshake {
				e.reached.Add(1)
			}
			_ = conn.Close()
		}
	}()
	return e
}

// spellings are ways to write the host.
func (e *elsewhere) spellings() []string {
	spelled := []string{e.host, "[::ffff:" + e.host + "]", "0.0.0.0", "127.0.0.1.evil", "localhost.evil.example", "127.0.0.1@" + e.host}
	if name, err := os.Hostname(); err == nil {
		spelled = append(spelled, name)
	}
	return spelled
}

// isName reports whether a host is, or may be read as, a name, which has to be resolved.
func isName(host string) bool {
	return strings.ContainsAny(host, "abcdefghijklmnopqrstuvwxyz@") && !strings.HasPrefix(host, "[")
}

// TestPlain gives addresses of another machine, in hostile spellings, to everything that
// connects without encryption: nothing may be sent there unless the configuration says
// that it may.
func TestPlain(t *testing.T) {
	e := newElsewhere(t)
	attempts := 0
	for _, host := range e.spellings() {
		for name, connect := range e.connections(t, host, false) {
			attempts++
			require.Error(t, connect(), "%s to %s", name, host)
		}
	}
	left := e.reached.Load()
	t.Logf("plain connections that left this machine: %d, of %d attempts in %d spellings", left, attempts, len(e.spellings()))
	require.Zero(t, left)

	for name, connect := range e.connections(t, e.host, true) { // where it is said, they do
		before := e.reached.Load()
		_ = connect() // nothing there answers
		require.Greater(t, e.reached.Load(), before, "%s reaches the server once it may", name)
	}
}

// connections are what connects to a host without encryption.
func (e *elsewhere) connections(t *testing.T, host string, insecure bool) map[string]func() error {
	at := host + ":" + e.port
	ctx := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	config := func(text string, args ...any) string {
		file := filepath.Join(t.TempDir(), "mcp.toml")
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, text, args...), 0o600))
		return file
	}
	refusedBy := func(file, key string, args ...string) func() error {
		return func() error {
			var stderr bytes.Buffer
			app := &cli.App{Stdout: &bytes.Buffer{}, Stderr: &stderr, Getenv: func(name string) string {
				return map[string]string{"HOME": filepath.Dir(file)}[name]
			}}
			code := app.Run(ctx(), append([]string{"--config", file}, args...))
			if code == 0 {
				return nil
			}
			if !insecure && (host == e.host || strings.HasPrefix(host, "[")) {
				require.Equal(t, 2, code, stderr.String())
				require.Contains(t, stderr.String(), file, "the file")
				require.Contains(t, stderr.String(), key, "and the key")
				require.Contains(t, stderr.String(), "insecure = true", "and the way out")
				require.NotContains(t, stderr.String(), "hunter2")
			}
			return fmt.Errorf("exit %d: %s", code, &stderr)
		}
	}
	var listed []string
	if insecure {
		listed = []string{at}
	}
	all := map[string]func() error{
		"an image registry": func() error {
			_, err := imageregistry.New(imageregistry.Options{Insecure: listed}).Digest(ctx(), at+"/shop:v1")
			return err
		},
		"a webhook": func() error {
			return alert.Webhook{URL: "http://" + at + "/", Insecure: insecure}.Send(ctx(), alert.Message{ID: "1", Body: []byte("{}")})
		},
		"Temporal": refusedBy(config("[temporal]\naddress = %q\ninsecure = %t\n", at, insecure), "temporal.address", "status"),
	}
	if !insecure && !isName(host) { // a name that leads nowhere is refused when it is dialled
		all["a webhook of mcp.toml"] = refusedBy(config("[alerts]\nwebhook = %q\n", "http://"+at+"/"), "alerts.webhook", "config", "show")
		all["a control worker"] = refusedBy(config("[postgres]\nurl = %q\n", "postgres://mcp:hunter2@"+at+"/mcp"), "postgres.url", "worker", "--control")
	}
	for _, mode := range []string{"", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer"} {
		all["Postgres with "+mode] = func() error {
			store, err := registry.Open(ctx(), "postgres://mcp:hunter2@"+at+"/mcp"+mode, registry.Insecure(insecure))
			if err != nil {
				require.NotContains(t, err.Error(), "hunter2")
				return err
			}
			defer store.Close()
			return store.Ping(ctx())
		}
	}
	return all
}
