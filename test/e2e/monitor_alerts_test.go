package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hook is a webhook that may fail, and records the alerts of one service: the node has
// other tests' containers too.
type hook struct {
	about   string
	mu      sync.Mutex
	failure func(http.ResponseWriter)
	asked   int
	taken   []string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !strings.Contains(string(body), h.about) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if h.failure != nil {
		h.failure(w)
		return
	}
	mac := hmac.New(sha256.New, []byte("hush"))
	_, _ = mac.Write(body)
	if r.Header.Get("X-Mcp-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	h.taken = append(h.taken, string(body))
}

// with sets how the webhook fails; nil for not at all.
func (h *hook) with(failure func(http.ResponseWriter)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failure = failure
}

func (h *hook) seen() (asked int, taken []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked, h.taken
}

func TestDriftIsAlerted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := w.builder + "-shop"
	h := &hook{about: name + "/app"}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	secret, log := filepath.Join(w.dir, "secret"), filepath.Join(w.dir, "command.log")
	require.NoError(t, os.WriteFile(secret, []byte("hush\n"), 0o600))
	w.alone(fmt.Sprintf("workspace = %q", w.workspace), "[monitor]", fmt.Sprintf("interval = %q", monitorInterval),
		"[alerts]", fmt.Sprintf("webhook = %q", server.URL), fmt.Sprintf("secret_file = %q", secret),
		fmt.Sprintf("command = [%q, %q, %q, %q, %q]", "/bin/sh", "-c", `grep --fixed-strings "$1" >>"$0" || true`, log, h.about))
	w.worker("--control")
	w.worker("--node", w.node)
	w.source("v1", "")
	w.define(name, w.service(name, "v1", ""))
	w.deploy(name)
	container := name + "-app"
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", container) })

	h.with(func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) })
	w.podman("stop", "--time", "0", container)
	require.Eventually(t, func() bool { asked, _ := h.seen(); return asked >= 2 }, time.Minute, 50*time.Millisecond, "sent again")
	h.with(nil)
	w.podman("start", container)
	require.Eventually(t, func() bool { _, taken := h.seen(); return len(taken) >= 2 }, time.Minute, 50*time.Millisecond)
	w.awaitObservations(2)
	_, taken := h.seen()
	require.Len(t, taken, 2, "once each")
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, taken, strings.Split(strings.TrimSpace(string(text)), "\n"), "the command gets the same")

	events := w.events(name)
	require.Equal(t, []string{"stopped", "stopped ended"}, kinds(events))
	for i, body := range taken {
		var alert struct {
			event
			Text string
		}
		require.NoError(t, json.Unmarshal([]byte(body), &alert))
		require.Equal(t, events[i].ID, alert.ID)
		require.Equal(t, events[i].Kind, alert.Kind)
		require.Contains(t, alert.Text, name+"/app")
		require.Contains(t, alert.Text, "stopped")
	}
}
