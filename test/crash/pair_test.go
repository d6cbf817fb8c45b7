package crash

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/test/authority"
	"github.com/metacircular/mcp/test/outside"
)

// pair is edges on hosts of their own that serve one hostname, with a certificate of a
// public authority.
type pair struct {
	t         *testing.T
	r         *rig
	authority *authority.Authority
	edges     map[string]*front
}

// front is one of the edges.
type front struct {
	*host
	*part
}

const (
	pairService = "pair"
	pairName    = "one.pair.example"
	pairOther   = "two.pair.example"
)

// TestTwoEdgesBehindOneName kills one edge after the other while clients of each send
// requests, and one sends them to both.
func TestTwoEdgesBehindOneName(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	east, west := p.start("east"), p.start("west")

	// The edge that an authority connects to answers for the other one, which has asked it:
	// the former cannot.
	serial := map[string]string{}
	for _, c := range []struct {
		name     string
		leads    *front
		hostname []string
	}{{pairName, east, []string{pairName}}, {pairOther, west, []string{pairName, pairOther}}} {
		require.NoError(t, p.authority.Lead(c.name, c.leads.address))
		p.separate(c.leads, true)
		p.deploy("v1", c.hostname...)
		serial[c.name] = p.serial(c.leads, c.name)
		p.separate(c.leads, false)
	}
	for name, want := range serial {
		require.Equal(t, want, p.serial(east, name), name)
		require.Equal(t, want, p.serial(west, name), name)
	}

	t.Run("the death of one is seen by its own connections alone", func(t *testing.T) {
		clients := []outside.Client{outside.Fresh, outside.Kept, outside.Upgraded, outside.Downloading}
		ofEast, ofWest := outside.Watch(p.site(east), time.Second, clients...), outside.Watch(p.site(west), time.Second, clients...)
		ofBoth := outside.Watch(p.site(east, west), time.Second, outside.Trying)
		for _, j := range []*outside.Judge{ofEast, ofWest, ofBoth} {
			defer j.Stop()
		}
		for _, c := range clients {
			succeeds(t, ofEast, c)
			succeeds(t, ofWest, c)
		}
		succeeds(t, ofBoth, outside.Trying)
		require.Empty(t, ofWest.Report().Failures)

		killed := time.Now()
		west.kill()
		require.Eventually(t, func() bool {
			broken := map[outside.Client]bool{}
			for _, f := range ofWest.Report().Failures {
				broken[f.Client] = true
			}
			return len(broken) == len(clients)
		}, time.Minute, 10*time.Millisecond, "what goes through it breaks")
		for range 3 {
			succeeds(t, ofBoth, outside.Trying)
			succeeds(t, ofEast, outside.Downloading)
		}
		require.NoError(t, west.up(t.Context()))
		for _, c := range clients {
			succeeds(t, ofWest, c)
		}
		east, both, own := ofEast.Stop(), ofBoth.Stop(), ofWest.Stop()
		t.Logf("through the edge that lives: %v succeeded; trying again: %v; through the one that died: %v, and %d failed",
			east.Succeeded, both.Succeeded, own.Succeeded, len(own.Failures))
		require.Empty(t, east.Failures)
		require.Empty(t, both.Failures)
		require.False(t, own.Failures[0].At.Before(killed))
	})

	t.Run("nor is it by clients that try again while the service is updated", func(t *testing.T) {
		judge := outside.Watch(p.site(east, west), time.Second, outside.Trying)
		defer judge.Stop()
		succeeds(t, judge, outside.Trying)
		for i, victim := range []*front{east, west} {
			version := fmt.Sprint("v", i+2)
			deployed := make(chan struct{})
			go func() {
				defer close(deployed)
				p.deploy(version, pairName, pairOther)
			}()
			victim.kill()
			<-deployed
			require.Eventually(t, func() bool { return slices.Contains(judge.Report().Versions, version) }, time.Minute, 10*time.Millisecond)
			require.NoError(t, victim.up(t.Context()))
			require.NoError(t, await(timeout, "the edge that has died serves "+version, func() bool {
				got, err := through(p.site(victim))
				return err == nil && got == version+"\n"
			}))
		}
		report := judge.Stop()
		t.Logf("trying again: %v succeeded", report.Succeeded)
		require.Empty(t, report.Failures)
	})

	t.Run("a third one has the certificates without the authority", func(t *testing.T) {
		p.authority.Stop()
		south := p.start("south")
		for name, want := range serial {
			require.Equal(t, want, p.serial(south, name), name)
		}
		got, err := through(p.site(south))
		require.NoError(t, err)
		require.Equal(t, "v3\n", got)
	})
}

// succeeds waits until a client has succeeded some times more.
func succeeds(t *testing.T, j *outside.Judge, c outside.Client) {
	t.Helper()
	more := map[outside.Client]int{outside.Downloading: 1, outside.Upgraded: 3}[c]
	if more == 0 {
		more = 10
	}
	from := j.Report().Succeeded[c]
	require.Eventually(t, func() bool { return j.Report().Succeeded[c] >= from+more }, time.Minute, 10*time.Millisecond, "%s: %v", c, j.Report().Failures)
}

// newPair starts the authority, and builds the service.
func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, r: pool.rig(t), edges: map[string]*front{}}
	var err error
	p.authority, err = authority.Start(authority.Options{Programs: p.r.bin, Dir: t.TempDir(), IP: p.r.network.gateway, HTTP: 80, HTTPS: 443})
	require.NoError(t, err)
	t.Cleanup(p.authority.Stop)
	src := p.r.path("workspace/outside")
	require.NoError(t, os.MkdirAll(src, 0o755))
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(src, "app"), "../outside/testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.WriteFile(filepath.Join(src, "Containerfile"), []byte("FROM scratch\nCOPY app /app\nCMD [\"/app\"]\n"), 0o600))
	t.Cleanup(func() { require.NoError(t, p.r.run("undeploy", pairService, "-y")) })
	return p
}

// deploy deploys a version of the service at hostnames.
func (p *pair) deploy(version string, hostnames ...string) {
	p.t.Helper()
	definition := fmt.Sprintf(`name = %q
node = %q
path = "outside"

[build.images]
outside = "Containerfile"

[[components]]
name = "web"
image = "%s/outside:v1"
env = { VERSION = %q }

[[components.routes]]
name = "http"
port = 443
mode = "l7"
hostname = [`, pairService, nodeNames[0], p.r.image, version)
	for _, name := range hostnames {
		definition += fmt.Sprintf("%q, ", name)
	}
	if !fine(p.t, p.r.define(pairService, definition+"]\n")) {
		return
	}
	fine(p.t, p.r.run("deploy", pairService, "--wait"))
}

// fine is for a goroutine beside that of the test.
func fine(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// start starts an edge on a new host, and admits it.
func (p *pair) start(name string) *front {
	p.t.Helper()
	on, err := p.r.network.grow()
	require.NoError(p.t, err)
	p.t.Cleanup(func() { require.NoError(p.t, p.r.network.shrink(on)) })
	data := p.r.path(name)
	require.NoError(p.t, os.MkdirAll(data, 0o700))
	own, err := seal.Load(filepath.Join(data, "key"))
	require.NoError(p.t, err)
	door, err := p.r.join(p.t.Context(), identity.Edge, name)
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(p.r.config(name), fmt.Appendf(nil, `%s[edge]
name = %q
data = %q
listen = %q
metrics = "off"
[edge.acme]
directory = %q
root = %q
`, door, name, data, on.address, p.authority.Directory, p.authority.Root), 0o600))
	m := &front{host: on, part: &part{name: name, start: func(context.Context) (process, error) {
		path, args := on.inside(filepath.Join(pool.dir, "mcp-edge"), "--config", p.r.config(name))
		return parts.Start(parts.Command{Name: name, Path: path, Args: args, Dir: p.r.dir, LogFile: p.r.path(name + ".log")})
	}}}
	p.edges[name] = m
	require.NoError(p.t, m.up(context.Background()))
	p.t.Cleanup(func() {
		m.kill()
		require.NoError(p.t, p.r.run("edge", "remove", name, "-y"))
		if p.t.Failed() {
			log, _ := os.ReadFile(p.r.path(name + ".log"))
			p.t.Logf("the log of %s:\n%s", name, log)
		}
	})
	require.NoError(p.t, p.r.run("edge", "admit", name, "--key", own.Key().String()))
	return m
}

// separate keeps an edge from the authority, or no longer. The authority reaches the edge.
func (p *pair) separate(m *front, from bool) {
	p.t.Helper()
	verb := "--delete"
	if from {
		verb = "--insert"
	}
	path, args := m.inside("iptables", verb, "OUTPUT", "--protocol", "tcp", "--syn", "--destination", p.r.network.gateway,
		"--dport", strconv.Itoa(p.authority.Port), "--jump", "REJECT", "--reject-with", "tcp-reset")
	require.NoError(p.t, run(path, args...))
}

// site is where clients reach the service at edges.
func (p *pair) site(at *front, others ...*front) outside.Site {
	site := outside.Site{URL: "https://" + pairName, Dial: net.JoinHostPort(at.address, "443"), Roots: p.authority.Issuers}
	for _, m := range others {
		site.Others = append(site.Others, net.JoinHostPort(m.address, "443"))
	}
	return site
}

// serial waits for the certificate of a hostname at an edge, and returns its number.
func (p *pair) serial(at *front, name string) string {
	p.t.Helper()
	var number string
	err := await(timeout, "a certificate", func() bool {
		dialer := &net.Dialer{Timeout: 10 * time.Second}
		c, err := tls.DialWithDialer(dialer, "tcp", net.JoinHostPort(at.address, "443"), &tls.Config{ServerName: name, RootCAs: p.authority.Issuers})
		if err != nil {
			return false
		}
		defer c.Close()
		number = c.ConnectionState().PeerCertificates[0].SerialNumber.String()
		return true
	})
	require.NoError(p.t, err, "%s at %s", name, at.address)
	return number
}
