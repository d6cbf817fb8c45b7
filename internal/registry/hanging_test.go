package registry_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/registry"
)

// deaf is a proxy of Postgres. While it swallows, a connection is accepted and set up,
// and no query is answered.
type deaf struct {
	listener net.Listener
	swallows atomic.Bool
	// refusing makes it answer nothing at all.
	refusing atomic.Bool
}

// newDeaf returns the proxy, and the URL that leads through it.
func newDeaf(t *testing.T, to string) (*deaf, string) {
	t.Helper()
	address, err := url.Parse(to)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	d := &deaf{listener: listener}
	go d.serve(address.Host)
	through := *address
	through.Host = listener.Addr().String()
	return d, through.String()
}

func (d *deaf) serve(to string) {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return
		}
		go d.pass(client, to)
	}
}

// readyForQuery ends Postgres's answer to the start of a connection, and to a query.
var readyForQuery = []byte{'Z', 0, 0, 0, 5, 'I'}

func (d *deaf) pass(client net.Conn, to string) {
	defer client.Close()
	if d.refusing.Load() {
		_, _ = io.Copy(io.Discard, client)
		return
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	var ready atomic.Bool
	go func() {
		defer client.Close()
		for part := make([]byte, 64<<10); ; {
			n, err := server.Read(part)
			if bytes.HasSuffix(part[:n], readyForQuery) {
				ready.Store(true)
			}
			if _, failed := client.Write(part[:n]); err != nil || failed != nil {
				return
			}
		}
	}()
	for part := make([]byte, 64<<10); ; {
		n, err := client.Read(part)
		if d.swallows.Load() && ready.Load() {
			n = 0
		}
		if _, failed := server.Write(part[:n]); err != nil || failed != nil {
			return
		}
	}
}

func requireSilent(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, fault.Unavailable, fault.Of(err).Kind, err)
}

func TestNoCallWaitsForAPostgresThatNeverAnswers(t *testing.T) {
	through := newSchema(t)
	_, _, err := registry.Migrate(t.Context(), through)
	require.NoError(t, err)
	calls := map[string]func(*registry.Store) error{
		"ping":   func(s *registry.Store) error { return s.Ping(t.Context()) },
		"schema": func(s *registry.Store) error { _, _, err := s.Schema(t.Context()); return err },
		"read":   func(s *registry.Store) error { _, err := s.Nodes(t.Context()); return err },
		"write":  func(s *registry.Store) error { _, err := s.SetDraining(t.Context(), "rift", true); return err },
	}
	open := func(t *testing.T, url string) *registry.Store {
		t.Helper()
		s, err := registry.Open(t.Context(), url)
		require.NoError(t, err)
		t.Cleanup(s.Close)
		return s
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("on a connection that is open", func(t *testing.T) {
				proxy, address := newDeaf(t, through)
				s := open(t, address)
				require.NoError(t, s.Ping(t.Context()))
				proxy.swallows.Store(true)
				requireSilent(t, call(s.WithBound(time.Second)))
				proxy.swallows.Store(false)
				require.NoError(t, s.WithBound(time.Minute).Ping(t.Context()), "another connection is used")
			})
			t.Run("on connections that are never set up", func(t *testing.T) {
				proxy, address := newDeaf(t, through)
				proxy.swallows.Store(true)
				s := open(t, address).WithBound(500 * time.Millisecond)
				for range 8 { // more than the pool has connections
					requireSilent(t, call(s))
				}
				proxy.swallows.Store(false)
				require.Eventually(t, func() bool { return s.WithBound(time.Minute).Ping(t.Context()) == nil }, time.Minute, time.Second, "the pool is free again")
			})
			t.Run("on a connection that is never answered", func(t *testing.T) {
				proxy, address := newDeaf(t, through)
				proxy.refusing.Store(true)
				requireSilent(t, call(open(t, address).WithBound(500*time.Millisecond)))
			})
		})
	}
	t.Run("migrate", func(t *testing.T) {
		t.Parallel()
		proxy, address := newDeaf(t, through)
		proxy.swallows.Store(true)
		_, _, err := registry.Migrate(t.Context(), address)
		requireSilent(t, err)
	})
}

// Postgres itself ends what waits for a lock, or whose client has vanished.
func TestAConnectionIsBoundedByPostgres(t *testing.T) {
	s, err := registry.Open(t.Context(), newSchema(t))
	require.NoError(t, err)
	defer s.Close()
	for setting, want := range map[string]string{
		"lock_timeout": "5s", "statement_timeout": "30s", "idle_in_transaction_session_timeout": "30s",
	} {
		value, err := s.Setting(t.Context(), setting)
		require.NoError(t, err)
		require.Equal(t, want, value, setting)
	}
}
