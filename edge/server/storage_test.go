package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/rpc"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/storage"
	"github.com/metacircular/mcp/edge/storage/contract"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
)

// Shared is a storage that edges in other processes share, and the keys of those that
// are admitted. Its methods are called by net/rpc.
type Shared struct {
	memory *contract.Memory
	mu     sync.Mutex
	keys   []seal.Key
	barred string // the edge that gets no lock
}

// Call is a call of a method of storage.Remote.
type Call struct {
	Edge, Key, Holder string
	Former, Value     []byte
	Lease             time.Duration
}

// Answer is the answer to a Call.
type Answer struct {
	Value   []byte
	Done    bool
	Missing bool
	Entries []storage.Entry
	Keys    []string
}

func (s *Shared) Load(c Call, a *Answer) (err error) {
	a.Value, err = s.memory.Load(context.Background(), c.Key)
	if errors.Is(err, fs.ErrNotExist) {
		a.Missing, err = true, nil
	}
	return err
}

func (s *Shared) Store(c Call, _ *Answer) error {
	return s.memory.Store(context.Background(), c.Key, c.Value)
}

func (s *Shared) Replace(c Call, a *Answer) (err error) {
	a.Done, err = s.memory.Replace(context.Background(), c.Key, c.Former, c.Value)
	return err
}

func (s *Shared) Delete(c Call, _ *Answer) error {
	return s.memory.Delete(context.Background(), c.Key)
}

func (s *Shared) List(c Call, a *Answer) (err error) {
	a.Entries, err = s.memory.List(context.Background(), c.Key)
	return err
}

func (s *Shared) Lock(c Call, a *Answer) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Edge == s.barred {
		return nil
	}
	a.Done, err = s.memory.Lock(context.Background(), c.Key, c.Holder, c.Lease)
	return err
}

func (s *Shared) Unlock(c Call, _ *Answer) error {
	return s.memory.Unlock(context.Background(), c.Key, c.Holder)
}

func (s *Shared) Keys(_ Call, a *Answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		a.Keys = append(a.Keys, k.String())
	}
	return nil
}

// share serves a storage, and returns its address.
func share(t *testing.T) (*Shared, string) {
	t.Helper()
	s := &Shared{memory: contract.NewMemory()}
	server := rpc.NewServer()
	require.NoError(t, server.RegisterName("Shared", s))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go server.Accept(l)
	return s, l.Addr().String()
}

// remote is the storage as an edge in another process has it.
type remote struct {
	client *rpc.Client
	edge   string
}

func (r *remote) call(method string, c Call) (a Answer, err error) {
	c.Edge = r.edge
	err = r.client.Call("Shared."+method, c, &a)
	if a.Missing {
		err = fs.ErrNotExist
	}
	return a, err
}

func (r *remote) Load(_ context.Context, key string) ([]byte, error) {
	a, err := r.call("Load", Call{Key: key})
	return a.Value, err
}

func (r *remote) Store(_ context.Context, key string, value []byte) error {
	_, err := r.call("Store", Call{Key: key, Value: value})
	return err
}

func (r *remote) Replace(_ context.Context, key string, former, value []byte) (bool, error) {
	a, err := r.call("Replace", Call{Key: key, Former: former, Value: value})
	return a.Done, err
}

func (r *remote) Delete(_ context.Context, key string) error {
	_, err := r.call("Delete", Call{Key: key})
	return err
}

func (r *remote) List(_ context.Context, key string) ([]storage.Entry, error) {
	a, err := r.call("List", Call{Key: key})
	return a.Entries, err
}

func (r *remote) Lock(_ context.Context, name, holder string, lease time.Duration) (bool, error) {
	a, err := r.call("Lock", Call{Key: name, Holder: holder, Lease: lease})
	return a.Done, err
}

func (r *remote) Unlock(_ context.Context, name, holder string) error {
	_, err := r.call("Unlock", Call{Key: name, Holder: holder})
	return err
}

func (r *remote) keys(context.Context) ([]seal.Key, error) {
	a, err := r.call("Keys", Call{})
	keys := make([]seal.Key, len(a.Keys))
	for i, text := range a.Keys {
		if keys[i], err = seal.ParseKey(text); err != nil {
			return nil, err
		}
	}
	return keys, err
}

// openShared opens the storage of an edge in a process of its own, which seals values
// anew when another edge is admitted.
func openShared(of spec) (*storage.Storage, error) {
	client, err := rpc.Dial("tcp", of.Shared)
	if err != nil {
		return nil, err
	}
	identity, err := seal.Load(filepath.Join(of.Data, "key"))
	if err != nil {
		return nil, err
	}
	r := &remote{client, of.Name}
	s := storage.New(storage.Options{Remote: r, Identity: identity, Keys: r.keys, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	go func() {
		var known []seal.Key
		for ; ; time.Sleep(50 * time.Millisecond) {
			if keys, err := r.keys(context.Background()); err == nil && !slices.Equal(known, keys) && s.Reseal(context.Background()) == nil {
				known = keys
			}
		}
	}()
	return s, nil
}

func TestTheSharedStorageOfTheTests(t *testing.T) {
	contract.Run(t, func(t *testing.T) storage.Remote {
		_, at := share(t)
		client, err := rpc.Dial("tcp", at)
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		return &remote{client, "any"}
	})
}

// Two edges share a storage. The name of a hostname leads to one of them, while the
// other one asks for its certificate. Both serve it, and so does a third one that comes
// when there is no authority any more.
func TestEdgesShareCertificates(t *testing.T) {
	for name, closed := range map[string]int{"HTTP-01": 443, "TLS-ALPN-01": 80} {
		t.Run(name, func(t *testing.T) {
			web := upstream(t, says("hello"))
			shared, at := share(t)
			publications := []fleet.Publication{publish("shop", l7(443, "shop.example", web), l7(443, "shop.internal", web))}
			ports := freePorts(t, publications)
			reached := maps.Clone(ports)
			reached[closed] = freePort(t)
			dns, point := startDNS(t)
			point("127.0.0.2")
			p := startPebble(t, reached, 90*24*time.Hour, dns)
			roots := map[string]string{}
			edges := map[string]string{"one": "127.0.0.1", "two": "127.0.0.2", "three": "127.0.0.3"}
			begin := func(name string) {
				data := t.TempDir()
				roots[name] = filepath.Join(data, "ca", "root.crt")
				identity, err := seal.Load(filepath.Join(data, "key"))
				require.NoError(t, err)
				shared.mu.Lock()
				shared.keys = append(shared.keys, identity.Key())
				shared.mu.Unlock()
				startProcess(t, spec{
					Data: data, Address: edges[name], Ports: ports, Publications: publications, ACME: &p.acmeSpec, Shared: at, Name: name, Drain: time.Second,
				})
			}
			serial := func(t require.TestingT, edge, host string) string {
				c, err := tls.Dial("tcp", net.JoinHostPort(edges[edge], strconv.Itoa(ports[443])), &tls.Config{ServerName: host, InsecureSkipVerify: true})
				require.NoError(t, err)
				defer c.Close()
				return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
			}
			shared.barred = "two" // so that one asks
			begin("two")
			begin("one")
			var public string
			var root []byte
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				public = serial(c, "one", "shop.example")
				serial(c, "one", "shop.internal")
				var err error
				root, err = os.ReadFile(roots["one"])
				require.NoError(c, err)
			}, time.Minute, 50*time.Millisecond)
			trusted := x509.NewCertPool()
			require.True(t, trusted.AppendCertsFromPEM(root))
			shared.mu.Lock()
			shared.barred = ""
			shared.mu.Unlock()
			both := func(edge string) {
				require.EventuallyWithT(t, func(c *assert.CollectT) {
					require.Equal(c, public, serial(c, edge, "shop.example"))
					own, err := tls.Dial("tcp", net.JoinHostPort(edges[edge], strconv.Itoa(ports[443])), &tls.Config{ServerName: "shop.internal", RootCAs: trusted})
					require.NoError(c, err, "clients trust one root")
					_ = own.Close()
				}, time.Minute, 50*time.Millisecond)
			}
			both("two")
			require.NoError(t, p.server.Process.Kill())
			begin("three")
			both("three")
			both("one")
			entries, err := shared.memory.List(t.Context(), "")
			require.NoError(t, err)
			for _, e := range entries {
				value, err := shared.memory.Load(t.Context(), e.Key)
				require.NoError(t, err)
				require.NotContains(t, string(value), "PRIVATE KEY")
			}
		})
	}
}
