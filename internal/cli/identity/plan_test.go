package identity

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

func tokenOf(role identity.Role, name string) identity.Token {
	return identity.Token{Role: role, Name: name, Door: []string{"door.example:7433"}}
}

func sessionWith(home, file string) *session.Session {
	return &session.Session{Console: ui.Console{}, ConfigFile: file, Getenv: func(name string) string { return map[string]string{"HOME": home}[name] }}
}

func TestWhereEverythingGoes(t *testing.T) {
	home := t.TempDir()
	p, err := planFor(sessionWith(home, ""), tokenOf(identity.Operator, "anna"), joinOptions{})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(home, ".config/mcp/mcp.toml"), p.config)
	require.Equal(t, identity.Directory(filepath.Join(home, ".config/mcp/identity")), p.dir)
	require.Empty(t, p.unit)

	file := filepath.Join(t.TempDir(), "mcp.toml")
	p, err = planFor(sessionWith(home, file), tokenOf(identity.Node, "rift"), joinOptions{units: "/units"})
	require.NoError(t, err)
	require.Equal(t, identity.Directory("/var/lib/mcp/identity"), p.dir)
	require.Equal(t, "mcp-node@rift.service", p.unit)
	require.Equal(t, "/units/mcp-node@.service", p.unitFile())

	for role, command := range map[identity.Role]string{
		identity.Edge: "mcp-edge --name front", identity.Control: "mcp worker --control", identity.Builder: "mcp worker --builder front --workspace DIR",
	} {
		p, err = planFor(sessionWith(home, file), tokenOf(role, "front"), joinOptions{noUnit: true})
		require.NoError(t, err)
		require.Equal(t, command+" --config "+file, p.command())
	}
}

// TestAUserJoinsWithoutRoot checks the paths and units of a node and of a builder that join
// as a user.
func TestAUserJoinsWithoutRoot(t *testing.T) {
	home := t.TempDir()
	for role, want := range map[identity.Role][2]string{
		identity.Node:    {"mcp-node@rift.service", "mcp-node@.service"},
		identity.Builder: {"mcp-builder.service", "mcp-builder.service"},
	} {
		p, err := planFor(sessionWith(home, ""), tokenOf(role, "rift"), joinOptions{uid: 1000})
		require.NoError(t, err)
		require.Equal(t, filepath.Join(home, ".config/mcp/mcp.toml"), p.config)
		require.Equal(t, identity.Directory(filepath.Join(home, ".local/state/mcp/identity")), p.dir)
		require.Equal(t, want[0], p.unit)
		require.Equal(t, filepath.Join(home, ".config/systemd/user", want[1]), p.unitFile())
		require.Nil(t, p.owner)
		unit := string(p.unitText)
		for _, words := range []string{"/etc/", "/var/lib", "User=", "StateDirectory", "Protect", "network-online", "multi-user.target", "MCP_CONFIG"} {
			require.NotContains(t, unit, words, "a user's systemd cannot do that, or it is not the user's")
		}
		require.Contains(t, unit, "\nWantedBy=default.target\n")
		require.Contains(t, unit, "\nAfter=podman.socket\n")
		require.NotContains(t, unit, "/usr/local/bin/mcp ", "it starts the program that has joined")
		require.Equal(t, []string{"systemctl", "--user"}, p.systemctl())
		require.NoError(t, p.prepare())
	}
	p, err := planFor(sessionWith(home, filepath.Join(home, "other.toml")), tokenOf(identity.Node, "rift"), joinOptions{uid: 1000, units: filepath.Join(home, "units")})
	require.NoError(t, err)
	require.Contains(t, string(p.unitText), "Environment=MCP_CONFIG="+filepath.Join(home, "other.toml")+"\n")
	require.Equal(t, filepath.Join(home, "units/mcp-node@.service"), p.unitFile())
	started, err := p.start(t.Context(), func(string) string { return home })
	require.NoError(t, err)
	require.False(t, started, "no systemd reads that directory")

	// An edge listens on ports that need more than a user has, and workflows run on a machine.
	for _, role := range []identity.Role{identity.Edge, identity.Control} {
		p, err := planFor(sessionWith(home, ""), tokenOf(role, "rift"), joinOptions{uid: 1000, noUnit: true})
		require.NoError(t, err)
		require.Equal(t, "/etc/mcp/mcp.toml", p.config)
	}
}

func TestTheConfiguration(t *testing.T) {
	j := enrol.Joined{Identity: identity.Identity{Role: identity.Node, Name: "rift"}, Doors: []string{"a.example:7433", "b.example:7433"}, Namespace: "fleet"}
	file := filepath.Join(t.TempDir(), "mcp.toml")
	load := func(text []byte) *config.Config {
		t.Helper()
		require.NoError(t, os.WriteFile(file, text, 0o600))
		cfg, err := config.Load(file, func(string) string { return "" })
		require.NoError(t, err)
		return cfg
	}
	plan := func(o joinOptions) (*plan, error) {
		return planFor(sessionWith("", file), tokenOf(identity.Node, "rift"), o)
	}
	o := joinOptions{noUnit: true, dir: "/srv/identity", publish: "10.0.0.5"}

	p, err := plan(o)
	require.NoError(t, err)
	cfg := load(p.configText(j))
	require.Equal(t, config.Door{Addresses: j.Doors, Identity: "/srv/identity"}, cfg.Door)
	require.Equal(t, "rift", cfg.Node.Name)
	require.Equal(t, "10.0.0.5", cfg.Node.Publish)
	require.Equal(t, "fleet", cfg.Temporal.Namespace)

	load([]byte("# Mine.\n[ports]\nlow = 20000"))
	p, err = plan(o)
	require.NoError(t, err)
	cfg = load(p.configText(j))
	require.Equal(t, config.Door{Addresses: j.Doors, Identity: "/srv/identity"}, cfg.Door)
	require.Equal(t, 20000, cfg.Ports.Low)
	require.Empty(t, cfg.Node.Name, "the rest is the owner's")

	require.Empty(t, p.keys)
	load([]byte("[temporal]\nencryption_key_file = \"keys\""))
	p, err = plan(o)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(filepath.Dir(file), "keys"), p.keys, "it needs none behind a gateway, and is to know")

	load([]byte("[door]\naddresses = [\"door.example:7433\"]\nidentity = \"/srv/mine\""))
	_, err = plan(o)
	require.ErrorContains(t, err, file+" has its identity in /srv/mine, not in /srv/identity")
	o.dir = ""
	p, err = plan(o)
	require.NoError(t, err)
	require.Equal(t, identity.Directory("/srv/mine"), p.dir)
	require.Nil(t, p.configText(j))
	load([]byte("[door]\naddresses = [\"other.example:7433\"]"))
	_, err = plan(o)
	require.ErrorContains(t, err, "has other gateways in [door] than the token: other.example:7433, not door.example:7433")
	require.NoError(t, os.WriteFile(file, []byte("[dor]"), 0o600))
	_, err = plan(o)
	require.ErrorContains(t, err, "mcp.toml:1: dor: unknown key")
}

func TestAnotherIdentityIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	authority, err := identity.NewAuthority(time.Now())
	require.NoError(t, err)
	key, err := identity.NewKey()
	require.NoError(t, err)
	request, err := identity.Request(key)
	require.NoError(t, err)
	c, err := authority.Issue(identity.Identity{Role: identity.Node, Name: "orion", ID: "1"}, request, identity.DefaultLife, time.Now())
	require.NoError(t, err)
	require.NoError(t, identity.Directory(dir).Create(authority.Roots(), c, key))
	for name, refused := range map[string]bool{"rift": true, "orion": false} {
		p, err := planFor(sessionWith("", filepath.Join(t.TempDir(), "mcp.toml")), tokenOf(identity.Node, name), joinOptions{noUnit: true, dir: dir})
		require.NoError(t, err)
		err = p.prepare()
		require.Equal(t, refused, err != nil, "%v", err)
	}
}
