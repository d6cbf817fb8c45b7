package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/gateway"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/telemetry"
)

// A gateway that is stopped has succeeded, whatever it was about to read.
func TestAGatewayIsStoppedWhileItStarts(t *testing.T) {
	postgres, err := parts.StartPostgres(t.Context(), parts.PostgresOptions{Dir: t.TempDir(), Unsafe: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Destroy()) })
	key := filepath.Join(t.TempDir(), "key")
	_, err = seal.Create(key)
	require.NoError(t, err)
	for _, statement := range []string{"schema_versions", "gateway_keys", "from encryption_keys", "the end"} {
		t.Run(statement, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var asked sync.Once
			address := watched(t, postgres.URL(), func(sent string) {
				if strings.Contains(sent, statement) {
					asked.Do(cancel)
				}
			})
			upstream, err := grpc.NewClient("passthrough:///127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()))
			require.NoError(t, err)
			defer upstream.Close()
			require.NoError(t, gateway.Serve(ctx, gateway.Options{
				Listen: "127.0.0.1:0", Doors: []string{"127.0.0.1:1"}, PostgresURL: address, KeyFile: key, Data: t.TempDir(),
				Upstream: upstream, Namespace: "default", Codec: codec.New(new(keyring.Keys), ""), Version: "test",
				Logger: slog.New(slog.DiscardHandler), Telemetry: telemetry.New("test"), Grace: time.Second,
				Listening: func(string) { asked.Do(cancel) },
			}))
			require.Error(t, ctx.Err(), "it was stopped")
		})
	}
}

// watched returns the URL of a Postgres that is reached through a listener, which calls
// saw with what clients send.
func watched(t *testing.T, address string, saw func(sent string)) string {
	t.Helper()
	to, err := url.Parse(address)
	require.NoError(t, err)
	host := to.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	to.Host = listener.Addr().String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", host)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() {
				defer client.Close()
				_, _ = io.Copy(client, server)
			}()
			go func() {
				defer server.Close()
				_, _ = io.Copy(server, io.TeeReader(client, sight(saw)))
			}()
		}
	}()
	return to.String()
}

type sight func(sent string)

func (s sight) Write(p []byte) (int, error) {
	s(string(p))
	return len(p), nil
}
