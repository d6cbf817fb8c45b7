package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/edge/role"
	"github.com/metacircular/mcp/edge/storage"
	"github.com/metacircular/mcp/edge/storage/contract"
	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// announced is the shared storage of an edge that serves nothing, and what its
// announcement is answered.
func announced(t *testing.T, c client.Client, name string, admit bool) (*role.Shared, fleet.EdgeAnswer) {
	t.Helper()
	identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	run := func(id, workflow string, in, out any) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: workflows.Queue}, workflow, in)
		require.NoError(t, err)
		require.NoError(t, run.Get(ctx, out))
	}
	key := identity.Key().String()
	if admit {
		run(tend.EdgeChangeID(name, "admit", name), tend.AdmitEdgeName, tend.AdmitEdgeInput{Edge: name, Key: key}, nil)
		t.Cleanup(func() { mcp(t, "edge", "remove", name, "-y") })
	}
	var answer fleet.EdgeAnswer
	machine, err := os.ReadFile(filepath.Join(shared.dir, ".mcp-dev", "machine"))
	require.NoError(t, err)
	record := fleet.EdgeRecord{Name: name, Key: key, Machine: fleet.Machine{ID: strings.TrimSpace(string(machine))}}
	run(tend.AnnouncementID(name, key), tend.AnnounceEdgeName, record, &answer)
	s := role.NewShared(c, name, identity, slog.New(slog.DiscardHandler))
	require.NoError(t, s.Learn(answer))
	return s, answer
}

// part is the part of a Remote below a key.
type part struct {
	storage.Remote
	prefix string
}

func (p part) Load(ctx context.Context, key string) ([]byte, error) {
	return p.Remote.Load(ctx, p.prefix+key)
}

func (p part) Store(ctx context.Context, key string, value []byte) error {
	return p.Remote.Store(ctx, p.prefix+key, value)
}

func (p part) Replace(ctx context.Context, key string, former, value []byte) (bool, error) {
	return p.Remote.Replace(ctx, p.prefix+key, former, value)
}

func (p part) Delete(ctx context.Context, key string) error {
	return p.Remote.Delete(ctx, p.prefix+key)
}

func (p part) List(ctx context.Context, key string) ([]storage.Entry, error) {
	entries, err := p.Remote.List(ctx, strings.TrimSuffix(p.prefix+key, "/"))
	for i, e := range entries {
		entries[i].Key = strings.TrimPrefix(e.Key, p.prefix)
	}
	return entries, err
}

func TestTheStorageInTheRegistry(t *testing.T) {
	keys, err := keyring.Open(shared.keys)
	require.NoError(t, err)
	o := client.Options{HostPort: shared.temporal, Logger: slog.New(slog.DiscardHandler)}
	codec.New(keys, "the platform's").Install(&o)
	c, err := client.Dial(o)
	require.NoError(t, err)
	defer c.Close()
	s, answer := announced(t, c, "store", true)
	require.True(t, answer.Admitted)
	parts := 0
	contract.Run(t, func(*testing.T) storage.Remote {
		parts++
		return part{s, fmt.Sprintf("contract-%d/", parts)}
	})

	t.Run("an edge that is not admitted has none", func(t *testing.T) {
		stranger, answer := announced(t, c, "stranger", false)
		require.Empty(t, answer.Keys)
		require.Empty(t, answer.Pass)
		_, err := stranger.List(t.Context(), "")
		require.Equal(t, fault.Unavailable, fault.Of(err).Kind)
	})
}

// spread forwards connections to addresses in turn, and counts those of each.
func spread(t *testing.T, at string, to ...string) []*atomic.Int64 {
	t.Helper()
	counts := make([]*atomic.Int64, len(to))
	for i := range counts {
		counts[i] = new(atomic.Int64)
	}
	listener, err := net.Listen("tcp", at)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for turn := 0; ; turn++ {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				server, err := net.Dial("tcp", to[turn%len(to)])
				if err != nil {
					return
				}
				defer server.Close()
				counts[turn%len(to)].Add(1)
				var both sync.WaitGroup
				both.Go(func() { _, _ = io.Copy(server, from); _ = server.(*net.TCPConn).CloseWrite() })
				_, _ = io.Copy(from, server)
				_ = from.(*net.TCPConn).CloseWrite()
				both.Wait()
			}()
		}
	}()
	return counts
}

// serial is that of the certificate of a hostname at an edge; "" while it has none.
func (e *site) serial(host string) string {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	c, err := tls.DialWithDialer(dialer, "tcp", e.at(), &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		return ""
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// The name of a service leads to both edges, in turn, while one of them asks for its
// certificate.
func TestEdgesShareCertificates(t *testing.T) {
	const name = "127.0.0.9" // the address of the hostname
	http, https := freePort(t), freePort(t)
	authority, acme := startPebble(t, http, https, name)
	edges := map[string]*site{}
	running := map[string]*process{}
	begin := func(who, address string) {
		e := newSite(t, who, "")
		e.address, e.https = address, https
		e.configure(http, acme)
		edges[who] = e
		running[who] = e.start()
		await(t, func() bool { return strings.Contains(running[who].said(), "not admitted yet") }, running[who].said)
		mcp(t, "edge", "admit", who, "-y")
		t.Cleanup(func() { mcp(t, "edge", "remove", who, "-y") })
	}
	serves := func(who, want string) {
		t.Helper()
		e, got := edges[who], ""
		await(t, func() bool { got = e.serial("cert.example"); return got != "" && (want == "" || got == want) },
			func() string { return fmt.Sprintf("%s has the certificate %q, not %q", who, got, want) })
	}
	begin("one", "127.0.0.2")
	begin("two", "127.0.0.3")
	at := func(port int) []string {
		return []string{fmt.Sprintf("127.0.0.2:%d", port), fmt.Sprintf("127.0.0.3:%d", port)}
	}
	plain, secure := spread(t, fmt.Sprintf("%s:%d", name, http), at(http)...), spread(t, fmt.Sprintf("%s:%d", name, https), at(https)...)

	deployAt(t, "cert", "hello", "cert.example", "cert.localhost")
	serves("one", "")
	serial := edges["one"].serial("cert.example")
	serves("two", serial)
	for i, who := range []string{"one", "two"} {
		require.Positive(t, plain[i].Load()+secure[i].Load(), "%s has answered challenges", who)
	}
	edges["one"].serves("cert.localhost", "hello")
	edges["two"].serves("cert.localhost", "hello")
	root := func(who string) string {
		text, err := os.ReadFile(filepath.Join(edges[who].data, "ca", "root.crt"))
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, root("one"), root("two"), "clients trust one root")

	t.Run("one that comes later has it without the authority", func(t *testing.T) {
		authority.Stop()
		begin("three", "127.0.0.4")
		serves("three", serial)
		edges["three"].serves("cert.localhost", "hello")
		require.Equal(t, root("one"), root("three"))
	})
	t.Run("one that starts while Temporal is away serves it", func(t *testing.T) {
		two := edges["two"]
		running["two"].kill()
		two.temporal.set(true)
		running["two"] = two.start()
		serves("two", serial)
		two.serves("cert.localhost", "hello")
		two.temporal.set(false)
	})
}
