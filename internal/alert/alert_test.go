package alert_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/alert"
	"github.com/metacircular/mcp/internal/fault"
)

var message = alert.Message{ID: "7", Body: []byte(`{"text":"node rift: unreachable"}`)}

func TestAWebhookReceivesASignedMessage(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	t.Cleanup(server.Close)
	require.NoError(t, alert.Webhook{URL: server.URL + "/hook", Secret: "hush"}.Send(t.Context(), message))
	require.Equal(t, "/hook", got.URL.Path)
	require.Equal(t, string(message.Body), string(body))
	require.Equal(t, "7", got.Header.Get("X-Mcp-Event"))
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	mac := hmac.New(sha256.New, []byte("hush"))
	_, _ = mac.Write(body)
	require.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), got.Header.Get("X-Mcp-Signature"))

	require.NoError(t, alert.Webhook{URL: server.URL}.Send(t.Context(), message))
	require.Empty(t, got.Header.Values("X-Mcp-Signature"), "there is no secret")
}

func TestAnswersOfAWebhook(t *testing.T) {
	for answer, kind := range map[int]fault.Kind{
		http.StatusNoContent:           "",
		http.StatusFound:               fault.Invalid,
		http.StatusBadRequest:          fault.Invalid,
		http.StatusForbidden:           fault.Unauthorized,
		http.StatusTooManyRequests:     fault.Unavailable,
		http.StatusInternalServerError: fault.Unavailable,
	} {
		t.Run(http.StatusText(answer), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) }))
			t.Cleanup(server.Close)
			err := alert.Webhook{URL: server.URL + "/token-in-path"}.Send(t.Context(), message)
			if kind == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, fault.Is(err, kind), err)
			require.NotContains(t, err.Error(), "token")
		})
	}

	t.Run("it does not listen", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		err := alert.Webhook{URL: server.URL + "/token-in-path"}.Send(t.Context(), message)
		require.True(t, fault.Is(err, fault.Unavailable), err)
		require.NotContains(t, err.Error(), "token")
	})

	t.Run("it never answers", func(t *testing.T) {
		hold := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
		t.Cleanup(func() { close(hold); server.Close() })
		err := alert.Webhook{URL: server.URL + "/token-in-path"}.WithTimeout(50*time.Millisecond).Send(t.Context(), message)
		require.True(t, fault.Is(err, fault.Unavailable), err)
		require.NotContains(t, err.Error(), "token")
	})

	t.Run("it hangs", func(t *testing.T) {
		hold := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
		t.Cleanup(func() { close(hold); server.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, alert.Webhook{URL: server.URL}.Send(ctx, message), context.DeadlineExceeded)
	})
}

func TestACommandReceivesTheMessage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "received")
	command := alert.Command{Args: []string{"/bin/sh", "-c", `cat >"$0"`, file}}
	require.NoError(t, command.Send(t.Context(), message))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(message.Body), string(text))
}

func TestACommandThatFails(t *testing.T) {
	send := func(ctx context.Context, args ...string) error { return alert.Command{Args: args}.Send(ctx, message) }

	t.Run("returns the end of its output", func(t *testing.T) {
		err := send(t.Context(), "/bin/sh", "-c", "yes | head -c 100000; echo no route to the pager >&2; exit 3")
		require.True(t, fault.Is(err, fault.Unavailable), err)
		require.ErrorContains(t, err, "/bin/sh")
		require.ErrorContains(t, err, "exit status 3")
		require.ErrorContains(t, err, "no route to the pager")
		require.Less(t, len(err.Error()), 1000)
	})

	t.Run("is Invalid if it does not exist", func(t *testing.T) {
		err := send(t.Context(), "/no/such/program")
		require.True(t, fault.Is(err, fault.Invalid), err)
		require.ErrorContains(t, err, "/no/such/program")
	})

	t.Run("is killed with the processes that it started", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "late")
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		err := send(ctx, "/bin/sh", "-c", `(sleep 1; touch "$0") & wait`, file)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(1500 * time.Millisecond)
		require.NoFileExists(t, file)
	})
}
