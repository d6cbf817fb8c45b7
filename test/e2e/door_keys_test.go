package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// losesKeys has every copy of the encryption keys be lost, while a service runs: the key is
// forgotten on the host of a gateway, and through none.
func (d *doorWorld) losesKeys(service string) {
	t := d.plane.t
	t.Helper()
	ring, err := keyring.Read(shared.platform.Info().EncryptionKeyFile)
	require.NoError(t, err)
	lost := ring.Keys[0].ID
	fresh := filepath.Join(d.plane.dir, "fresh.keys")
	require.Zero(t, d.plane.mcp("key", "new", "--file", fresh).code)
	r := d.mcp("key", "forget", lost, "--file", fresh, "-y")
	require.Equal(t, 2, r.code, r)
	require.Contains(t, r.stderr, "is not seen through a gateway")
	require.Contains(t, r.stderr, "run it on the host of a gateway")

	for _, p := range append([]*process{d.control}, d.gateways...) {
		p.signal(syscall.SIGTERM)
		require.Zero(t, p.code(2*time.Minute), p.stderr.String())
	}
	lines := d.plane.lines()
	d.plane.configure(strings.ReplaceAll(strings.Join(lines, "\n"), shared.platform.Info().EncryptionKeyFile, fresh))
	without := d.plane.process("gateway", "--listen", d.addresses[0])
	require.NotZero(t, without.code(time.Minute))
	require.Contains(t, without.stderr.String(), "key "+lost)
	r = d.plane.mcp("key", "forget", lost, "--json")
	require.Equal(t, 2, r.code, "it asks: %s", r)
	require.Contains(t, r.stderr, service+": the definition of release")
	require.Contains(t, r.stderr, "schedule "+tend.MonitorID)
	r = d.plane.mcp("key", "forget", lost, "-y")
	require.Zero(t, r.code, r)
	require.Contains(t, r.stderr, "deploy again: mcp deploy "+service)

	for i := range d.gateways {
		d.serve(i)
	}
	d.control = d.plane.worker("--control", "--listen", "off")
	result := d.deploy(service)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, plan.Keep, result.Components[0].Action, "what runs goes on")
	require.Contains(t, d.mcp("doctor").stdout, "the gateways have the keys; this host needs none")
}
