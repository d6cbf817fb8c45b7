package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// rotation is the replacement of the authority of a doorWorld's gateways.
type rotation struct {
	*doorWorld
	authority, next string
	// former is the world of the operator with the certificate of the former authority.
	former *world
}

// standing is mcp identity rotate --json.
type standing struct {
	Authority, Next string
	Finished        bool
	Waiting         []struct{ Identity string }
}

// names are those of the identities that need the present authority.
func (s standing) names() (list []string) {
	for _, w := range s.Waiting {
		list = append(list, strings.TrimRight(w.Identity, " "))
	}
	return list
}

// rotate is a successful mcp identity rotate of the operator.
func (d *doorWorld) rotate(by *world, args ...string) (s standing) {
	d.plane.t.Helper()
	r := by.mcp(append([]string{"identity", "rotate", "--json"}, args...)...)
	require.Zero(d.plane.t, r.code, r)
	r.decode(d.plane.t, &s)
	return s
}

// rotates begins to replace the authority. It cannot end that before the identities have
// renewed their certificates.
func (d *doorWorld) rotates() *rotation {
	t := d.plane.t
	t.Helper()
	former := d.machine("former", d.lines()...)
	text, err := os.ReadFile(former.config())
	require.NoError(t, err)
	kept := filepath.Join(former.dir, "identity")
	own := d.identity()
	require.NoError(t, os.CopyFS(kept, os.DirFS(own)))
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		require.NoError(t, os.Chmod(filepath.Join(kept, name), 0o600))
	}
	former.configure(strings.ReplaceAll(strings.TrimSpace(string(text)), own, kept))

	began := d.rotate(d.world)
	require.NotEmpty(t, began.Next)
	absent := "node/" + d.plane.node + "-absent"
	require.ElementsMatch(t, []string{"node/" + d.plane.node, absent, "operator/anna"}, began.names())
	r := d.mcp("identity", "rotate", "--finish", "-y")
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "3 identities still need the present authority: node/"+d.plane.node+", "+absent+", operator/anna")
	again := d.rotate(d.plane, "--status", "--direct")
	require.Equal(t, began.Authority, again.Authority)
	require.Equal(t, began.Next, again.Next)
	return &rotation{d, began.Authority, began.Next, former}
}

// identity is the directory of the operator's identity.
func (d *doorWorld) identity() string {
	d.plane.t.Helper()
	for _, line := range d.lines() {
		if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "identity" {
			return strings.Trim(value, ` "`)
		}
	}
	require.Fail(d.plane.t, "the configuration names no identity")
	return ""
}

// ends ends the rotation: a client that was there has renewed by then, and one that was
// away is refused, and joins again. It returns the worker of the node, which is another one.
func (r *rotation) ends(worker *process, absent *world) *process {
	t := r.plane.t
	t.Helper()
	name := r.plane.node + "-absent"
	// The operator's commands renew, once every gateway knows the next authority.
	require.Eventually(t, func() bool {
		return !strings.Contains(strings.Join(r.rotate(r.world, "--status").names(), " "), "operator/anna")
	}, 3*time.Minute, time.Second)
	worker.signal(syscall.SIGTERM)
	require.Zero(t, worker.code(time.Minute))
	worker = r.host.worker("--node", r.plane.node, "--listen", "off") // which asks as it starts
	require.Eventually(t, func() bool {
		return len(r.rotate(r.world, "--status").Waiting) == 1
	}, time.Minute, 100*time.Millisecond)
	require.Zero(t, r.former.mcp("node", "list").code, "until the end certificates of both count")
	refused := r.mcp("identity", "rotate", "--finish", "-y")
	require.Equal(t, 1, refused.code, refused)
	require.Contains(t, refused.stderr, "one identity still needs the present authority: node/"+name)

	done := r.rotate(r.world, "--finish", "--force", "-y")
	require.True(t, done.Finished)
	require.Equal(t, r.next, done.Authority)
	require.Equal(t, []string{"node/" + name}, done.names())

	// What is of the former authority is refused, by every gateway, with the way back.
	for i, gateway := range r.gateways {
		require.Eventually(t, func() bool { return strings.Contains(gateway.stderr.String(), "accepted=["+r.next+"]") }, time.Minute, 50*time.Millisecond, "gateway %d", i)
	}
	for _, verb := range [][]string{{"node", "list"}, {"identity", "list"}, {"logs", "gated"}} {
		old := r.former.mcp(verb...)
		require.NotZero(t, old.code, old)
		require.Contains(t, old.stderr, "this is not the gateway of the authority that this machine has joined", "%v", verb)
		require.Contains(t, old.stderr, "mcp identity create operator anna", "%v", verb)
	}
	require.Contains(t, r.former.mcp("doctor").stdout, "mcp identity create operator anna")
	waiting := absent.process("worker", "--node", name, "--listen", "off")
	require.Eventually(t, func() bool {
		return strings.Contains(waiting.stderr.String(), "join again with a new token, which an operator creates: mcp identity create node "+name)
	}, time.Minute, 50*time.Millisecond)
	require.NotContains(t, waiting.stderr.String(), "worker ready")

	// It joins again, and its worker goes on as it is.
	r.join(absent, r.token(r.world, "node", name), "--no-unit", "--dir", filepath.Join(absent.dir, "identity"))
	require.Eventually(t, func() bool { return strings.Contains(waiting.stderr.String(), "worker ready") }, time.Minute, 50*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Contains(r.mcp("node", "list").stdout, name) }, time.Minute, 100*time.Millisecond)
	require.Empty(t, r.rotate(r.world, "--status").Next)
	waiting.signal(syscall.SIGTERM)
	require.Zero(t, waiting.code(time.Minute))
	require.Zero(t, r.mcp("node", "remove", name, "-y").code)
	require.Zero(t, r.mcp("identity", "revoke", "node", name, "-y").code)
	return worker
}
