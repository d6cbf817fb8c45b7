package outside_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/outside"
)

// The clients succeed with the program itself, and each notices its end.
func TestClientsNoticeTheEndOfAService(t *testing.T) {
	app := exec.Command(program, "127.0.0.1:0")
	app.Env = append(os.Environ(), "VERSION=v1")
	out, err := app.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, app.Start())
	t.Cleanup(func() { _ = app.Process.Kill(); _ = app.Wait() })
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	judge := outside.Watch(outside.Site{URL: "http://shop.localhost", Dial: lines.Text()}, 200*time.Millisecond, outside.Clients()...)
	t.Cleanup(func() { judge.Stop() })
	require.Eventually(t, func() bool {
		r := judge.Report()
		for _, c := range outside.Clients() {
			if r.Succeeded[c] < 2 {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond)
	require.Empty(t, judge.Report().Failures)
	require.Equal(t, []string{"v1"}, judge.Report().Versions)

	require.NoError(t, app.Process.Kill())
	require.Eventually(t, func() bool {
		failed := map[outside.Client]bool{}
		for _, f := range judge.Report().Failures {
			failed[f.Client] = true
		}
		return len(failed) == len(outside.Clients())
	}, time.Minute, 10*time.Millisecond)
}

// What is not a 200 of the right length is a failure.
func TestAWrongAnswerIsAFailure(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filepath.Base(r.URL.Path) == "download" || r.Method == http.MethodPost {
			_, _ = w.Write([]byte("7"))
			return
		}
		http.Error(w, "no", http.StatusBadGateway)
	}))
	defer server.Close()
	for _, c := range outside.Clients() {
		judge := outside.Watch(outside.Site{URL: server.URL}, 100*time.Millisecond, c)
		require.Eventually(t, func() bool { return len(judge.Report().Failures) > 0 }, time.Minute, 10*time.Millisecond, c)
		require.Zero(t, judge.Stop().Succeeded[c], c)
	}
}

// A client that tries again fails where every address does.
func TestAClientTriesAgain(t *testing.T) {
	servers := map[string]*httptest.Server{}
	for _, name := range []string{"one", "two"} {
		servers[name] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(name)) }))
		defer servers[name].Close()
	}
	one, two := servers["one"].Listener.Addr().String(), servers["two"].Listener.Addr().String()
	judge := outside.Watch(outside.Site{URL: "http://shop.localhost", Dial: one, Others: []string{two}}, time.Second, outside.Trying)
	defer judge.Stop()
	require.Eventually(t, func() bool { return len(judge.Report().Versions) == 2 }, time.Minute, 10*time.Millisecond)
	servers["one"].Close()
	before := judge.Report().Succeeded[outside.Trying]
	require.Eventually(t, func() bool { return judge.Report().Succeeded[outside.Trying] > before+10 }, time.Minute, 10*time.Millisecond)
	require.Empty(t, judge.Report().Failures)
	servers["two"].Close()
	require.Eventually(t, func() bool { return len(judge.Report().Failures) > 0 }, time.Minute, 10*time.Millisecond)
}
