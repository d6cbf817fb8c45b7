package apps_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/workflows"
)

// app is an application of examples/apps, in a workspace of its own.
type app struct {
	*testing.T
	name      string
	services  string // the directory of its definition
	workspace string
	client    *http.Client
}

// newApp copies an application, for the platform's image registry and its node.
func newApp(t *testing.T, name string, replaced ...string) *app {
	t.Helper()
	dir := filepath.Join(shared.dir, "apps", name)
	a := &app{T: t, name: name, services: filepath.Join(dir, "services"), workspace: filepath.Join(dir, "workspace")}
	require.NoError(t, os.MkdirAll(a.services, 0o755))
	require.NoError(t, os.CopyFS(filepath.Join(a.workspace, name), os.DirFS(filepath.Join("../../examples/apps", name))))
	info := shared.platform.Info()
	definition, err := os.ReadFile(filepath.Join("../../examples/apps", name+".toml"))
	require.NoError(t, err)
	here := strings.NewReplacer(append([]string{
		"127.0.0.1:5000/", info.ImageRegistry + "/", `node = "local"`, fmt.Sprintf("node = %q", nodeName),
	}, replaced...)...)
	require.NoError(t, os.WriteFile(a.definition(), []byte(here.Replace(string(definition))), 0o644))
	for _, file := range []string{"Containerfile", "Containerfile.web"} {
		if _, err := os.Stat(a.source(file)); err == nil {
			a.change(file, "127.0.0.1:5000/", info.ImageRegistry+"/")
		}
	}
	config := fmt.Sprintf(`services = %q
[temporal]
address = %q
encryption_key_file = %q
[build]
workspace = %q
builder = %q
socket = %q
logs = %q
[image_registry]
insecure = [%q]
`, a.services, info.Temporal(), info.EncryptionKeyFile, a.workspace, "apps-"+name, info.Podman, filepath.Join(dir, "builds"), info.ImageRegistry)
	require.NoError(t, os.WriteFile(a.config(), []byte(config), 0o600))
	a.client = edgeClient(t)
	return a
}

// again returns the application for another test.
func (a *app) again(t *testing.T) *app {
	again := *a
	again.T = t
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(again.mcp("status", again.name), again.mcp("logs", again.name, "-n", "30", "-t"))
		}
	})
	return &again
}

func (a *app) definition() string { return filepath.Join(a.services, a.name+".toml") }

func (a *app) config() string { return filepath.Join(a.services, "..", "mcp.toml") }

func (a *app) source(file string) string { return filepath.Join(a.workspace, a.name, file) }

func (a *app) read(file string) string {
	a.Helper()
	text, err := os.ReadFile(a.source(file))
	require.NoError(a, err)
	return string(text)
}

func (a *app) write(file, text string) {
	a.Helper()
	require.NoError(a, os.MkdirAll(filepath.Dir(a.source(file)), 0o755))
	require.NoError(a, os.WriteFile(a.source(file), []byte(text), 0o644))
}

// change replaces a text of a source file, which must have it.
func (a *app) change(file, old, new string) {
	a.Helper()
	text := a.read(file)
	require.Contains(a, text, old, file)
	a.write(file, strings.ReplaceAll(text, old, new))
}

// redefine replaces a text of the definition, which must have it.
func (a *app) redefine(old, new string) {
	a.Helper()
	text, err := os.ReadFile(a.definition())
	require.NoError(a, err)
	require.Contains(a, string(text), old)
	require.NoError(a, os.WriteFile(a.definition(), []byte(strings.ReplaceAll(string(text), old, new)), 0o644))
}

// reply is the result of a command.
type reply struct {
	code           int
	stdout, stderr string
}

func (r reply) String() string {
	return fmt.Sprintf("exit %d\n--- stdout\n%s\n--- stderr\n%s", r.code, r.stdout, r.stderr)
}

// mcp runs a command in this process.
func (a *app) mcp(args ...string) reply {
	a.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.Context()), 10*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	program := &cli.App{Stdout: &stdout, Stderr: &stderr, Getenv: func(name string) string {
		if name == "XDG_CACHE_HOME" {
			return filepath.Join(a.workspace, "..", "cache")
		}
		return os.Getenv(name)
	}}
	start := time.Now()
	code := program.Run(ctx, append([]string{"--config", a.config()}, args...))
	a.Logf("mcp %s: exit %d after %s", strings.Join(args, " "), code, time.Since(start).Round(time.Millisecond))
	return reply{code, stdout.String(), stderr.String()}
}

// must runs a command that must succeed.
func (a *app) must(args ...string) reply {
	a.Helper()
	r := a.mcp(args...)
	require.Zero(a, r.code, r)
	return r
}

// deploy deploys the application, which must replace these components and no others.
func (a *app) deploy(replaced ...string) {
	a.Helper()
	r := a.must("deploy", a.name, "--wait", "--json")
	var result workflows.Result
	require.NoError(a, json.Unmarshal([]byte(r.stdout), &result), r)
	require.Equal(a, workflows.Succeeded, result.Outcome, r)
	var changed []string
	for _, c := range result.Components {
		if c.Action != "keep" {
			changed = append(changed, c.Name)
		}
	}
	require.ElementsMatch(a, replaced, changed, r)
}

// undeploy removes the application. What a later test has of it goes too.
func (a *app) undeploy() { a.must("undeploy", a.name, "-y") }

// secret makes a secret on the node.
func (a *app) secret(name, value string) {
	a.Helper()
	require.NoError(a, shared.node.secret(name, value))
}

// eventually waits until an attempt succeeds. It is for what an application does by
// itself, and for a node that boots.
func (a *app) eventually(what string, attempt func() error) {
	a.Helper()
	var last error
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last = attempt(); last == nil {
			return
		}
	}
	require.NoError(a, last, what)
}

// edgeClient returns a client of the edge, which is at every hostname.
func edgeClient(t *testing.T) *http.Client {
	t.Helper()
	edge := shared.platform.Info().Edge
	root, err := os.ReadFile(edge.Root)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(root))
	return &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, edge.HTTPS)
			},
		},
	}
}

// answer is an answer of HTTP.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a *app) do(request *http.Request) (answer, error) {
	response, err := a.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// try gets a URL, which must answer 200.
func (a *app) try(url string) (string, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	got, err := a.do(request)
	if err != nil {
		return "", err
	}
	if got.status != http.StatusOK {
		return "", fmt.Errorf("%s answers %d: %.2000s", url, got.status, got.body)
	}
	return got.body, nil
}

func (a *app) get(url string) string {
	a.Helper()
	body, err := a.try(url)
	require.NoError(a, err)
	return body
}

// post sends a form, to be answered by a status.
func (a *app) post(status int, url string, form string) string {
	a.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(form))
	require.NoError(a, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := a.do(request)
	require.NoError(a, err)
	require.Equal(a, status, got.status, got.body)
	return got.body
}
