package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

var node = identity.Identity{Role: identity.Node, Name: "rift", ID: "4f"}

func TestIdentity(t *testing.T) {
	who, err := identity.Parse("operator/anna")
	require.NoError(t, err)
	require.Equal(t, identity.Identity{Role: identity.Operator, Name: "anna"}, who)
	for _, text := range []string{"", "anna", "root/anna", "operator/", "operator/An na", "operator/" + strings.Repeat("a", 64), "operator/a/b"} {
		_, err := identity.Parse(text)
		require.True(t, fault.Is(err, fault.Invalid), "%q: %v", text, err)
	}

	for want, i := range map[string]identity.Identity{
		"":                       {Role: identity.Deployer, Name: "ci", ID: "1", Services: []string{"shop", "*"}, Grants: []identity.Grant{identity.Exec}},
		"names no service":       {Role: identity.Deployer, Name: "ci", ID: "1"},
		"are for the roles":      {Role: identity.Operator, Name: "anna", ID: "1", Services: []string{"shop"}},
		"is not the name of":     {Role: identity.Reader, Name: "eve", ID: "1", Services: []string{"shop&grant=exec"}},
		"there is no grant":      {Role: identity.Reader, Name: "eve", ID: "1", Services: []string{"shop"}, Grants: []identity.Grant{"root"}},
		"names 65 services":      {Role: identity.Reader, Name: "eve", ID: "1", Services: slices.Repeat([]string{"shop"}, 65)},
		"its id \"\" is not":     {Role: identity.Node, Name: "rift"},
		"there is no role \"x\"": {Role: "x", Name: "rift", ID: "1"},
	} {
		err := i.Check()
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}

	ci := identity.Identity{Role: identity.Deployer, Name: "ci", Services: []string{"shop"}, Grants: []identity.Grant{identity.Copy}}
	require.True(t, ci.MayUse("shop"))
	require.False(t, ci.MayUse("bank"))
	require.False(t, ci.MayUse("*"))
	require.True(t, ci.Has(identity.Copy))
	require.False(t, ci.Has(identity.Exec))
	require.True(t, who.MayUse("bank"))
	require.True(t, who.Has(identity.Secrets))
	require.False(t, node.Has(identity.Exec))

	_, ok := identity.FromContext(context.Background())
	require.False(t, ok)
	_, ok = identity.FromContext(identity.NewContext(context.Background(), identity.Identity{}))
	require.False(t, ok, "the zero Identity is no caller")
	found, ok := identity.FromContext(identity.NewContext(context.Background(), ci))
	require.True(t, ok)
	require.Equal(t, ci, found)
}

// issued is a certificate of an authority, with its key.
func issued(t *testing.T, a *identity.Authority, who identity.Identity, at time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := identity.NewKey()
	require.NoError(t, err)
	request, err := identity.Request(key)
	require.NoError(t, err)
	c, err := a.Issue(who, request, identity.DefaultLife, at)
	require.NoError(t, err)
	return c, key
}

func authority(t *testing.T) *identity.Authority {
	t.Helper()
	made, err := identity.NewAuthority(time.Now())
	require.NoError(t, err)
	text, err := made.Marshal()
	require.NoError(t, err)
	read, err := identity.ParseAuthority(text)
	require.NoError(t, err)
	require.Equal(t, made.Fingerprint(), read.Fingerprint())
	return read
}

func TestCertificates(t *testing.T) {
	a, now := authority(t), time.Now().Truncate(time.Second)
	state := func(list ...*x509.Certificate) tls.ConnectionState {
		return tls.ConnectionState{PeerCertificates: list}
	}

	ci := identity.Identity{Role: identity.Deployer, Name: "ci", ID: "7c", Services: []string{"bank", "shop"}, Grants: []identity.Grant{identity.Exec}}
	c, _ := issued(t, a, ci, now)
	who, leaf, err := a.Roots().Caller(state(c), now)
	require.NoError(t, err)
	require.Equal(t, ci, who)
	require.Same(t, c, leaf)
	require.Error(t, a.Roots().Door(state(c), now), "a client is no gateway")

	server, _, err := a.Server(now)
	require.NoError(t, err)
	require.NoError(t, a.Roots().Door(state(server...), now))
	_, _, err = a.Roots().Caller(state(server...), now)
	require.Error(t, err, "a gateway is no client")
	_, _, err = a.Roots().Caller(state(a.Roots()...), now)
	require.Error(t, err, "an authority is no client")

	of, _ := issued(t, authority(t), ci, now)
	_, _, err = a.Roots().Caller(state(of), now)
	require.True(t, fault.Is(err, fault.Unauthorized), "another authority: %v", err)
	_, _, err = a.Roots().Caller(state(), now)
	require.ErrorContains(t, err, "no client certificate")

	t.Run("one that is not valid yet, or no more, is known all the same", func(t *testing.T) {
		var outside *identity.OutOfTime
		who, _, err := a.Roots().Caller(state(c), now.Add(-time.Hour))
		require.ErrorAs(t, err, &outside)
		require.Equal(t, ci, who)
		require.ErrorContains(t, err, "the certificate of deployer/ci begins at ")
		require.ErrorContains(t, err, ", 50 min after the time of this machine, ")
		_, _, err = a.Roots().Caller(state(c), now.Add(8*24*time.Hour))
		require.ErrorAs(t, err, &outside)
		require.ErrorContains(t, err, ", 24 h 0 min before the time of this machine, ")
		require.ErrorContains(t, a.Roots().Door(state(server...), now.Add(-time.Hour)), "the certificate of the gateway begins at ")
	})

	t.Run("what a request asks for beside its key does not count", func(t *testing.T) {
		_, err := a.Issue(node, []byte("no request"), identity.DefaultLife, now)
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		_, err = a.Issue(node, make([]byte, 9<<10), identity.DefaultLife, now)
		require.ErrorContains(t, err, "9216 bytes")
		key, err := identity.NewKey()
		require.NoError(t, err)
		request, err := identity.Request(key)
		require.NoError(t, err)
		request[len(request)-1] ^= 1
		_, err = a.Issue(node, request, identity.DefaultLife, now)
		require.ErrorContains(t, err, "not signed with its key")
		request[len(request)-1] ^= 1
		_, err = a.Issue(node, request, 91*24*time.Hour, now)
		require.ErrorContains(t, err, "cannot live for")
	})
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, identity.CheckClock(now, now.Add(4*time.Minute)))
	require.ErrorContains(t, identity.CheckClock(now, now.Add(58*time.Minute+20*time.Second)), "this machine's clock is 58 min behind the gateway's: here it is 2026-01-02 03:04:05 UTC, there 2026-01-02 04:02:25 UTC")
	require.ErrorContains(t, identity.CheckClock(now, now.Add(-3*time.Hour)), "this machine's clock is 3 h 0 min ahead of the gateway's")
}

func TestToken(t *testing.T) {
	secret, hash := identity.NewSecret()
	require.True(t, identity.IsHash(hash))
	require.Equal(t, hash, identity.HashSecret(secret))
	token := identity.Token{Role: identity.Node, Name: "rift", Door: []string{"door.example:7433"}, Authority: authority(t).Fingerprint(), Secret: secret}
	read, err := identity.ParseToken(" " + token.String() + "\n")
	require.NoError(t, err)
	require.Equal(t, token, read)
	text := token.String()
	other := token
	other.Door = []string{"door.example"}
	unnamed := token
	unnamed.Name = "../rift"
	for _, bad := range []string{"", "mcp-join-1.", text[:len(text)-20], text + "%", "mcp-join-2" + text[10:], other.String(), unnamed.String(), text + strings.Repeat("A", 5000)} {
		_, err := identity.ParseToken(bad)
		require.True(t, fault.Is(err, fault.Invalid), "%q: %v", bad, err)
		require.NotContains(t, err.Error(), text[20:60])
	}
}

func TestDirectory(t *testing.T) {
	a := authority(t)
	d := identity.Directory(filepath.Join(t.TempDir(), "identity"))
	require.False(t, d.Exists())
	_, err := d.Read()
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)

	c, key := issued(t, a, node, time.Now())
	require.NoError(t, d.Create(a.Roots(), c, key))
	require.True(t, d.Exists())
	read, err := d.Read()
	require.NoError(t, err)
	require.Equal(t, node, read.Identity)
	require.WithinDuration(t, time.Now().Add(identity.DefaultLife/3*2), read.Due(), 5*time.Minute)
	entries, err := os.ReadDir(string(d))
	require.NoError(t, err)
	require.Len(t, entries, 3, "nothing temporary is left")
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), e.Name())
	}

	other, _ := issued(t, a, node, time.Now())
	require.ErrorContains(t, d.Create(a.Roots(), other, key), "not for the key of this machine")

	for name, spoil := range map[string]func(path string) error{
		"users could read it": func(path string) error { return os.Chmod(path, 0o644) },
		"is a symbolic link": func(path string) error {
			return errorsOf(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		},
		"at most 262144 are": func(path string) error { return os.Truncate(path, 300<<10) },
		"has no identity":    os.Remove,
		"no":                 func(path string) error { return os.WriteFile(path, []byte("-----BEGIN NOTHING-----"), 0o600) },
	} {
		for _, file := range []string{"ca.pem", "cert.pem", "key.pem"} {
			d := identity.Directory(filepath.Join(t.TempDir(), "identity"))
			require.NoError(t, d.Create(a.Roots(), c, key))
			require.NoError(t, spoil(filepath.Join(string(d), file)))
			_, err := d.Read()
			require.ErrorContains(t, err, name, file)
		}
	}
}

func errorsOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestConnection has both ends of a connection check one another, and a renewed certificate
// used by the next handshake.
func TestConnection(t *testing.T) {
	a := authority(t)
	d := identity.Directory(t.TempDir())
	c, key := issued(t, a, node, time.Now())
	require.NoError(t, d.Create(a.Roots(), c, key))
	config := d.ClientTLS("h2")

	connect := func(of *identity.Authority) (who identity.Identity, serial string, err error) {
		chain, serverKey, err := of.Server(time.Now())
		require.NoError(t, err)
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		server := tls.Server(there, &tls.Config{
			MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"},
			Certificates: []tls.Certificate{{Certificate: [][]byte{chain[0].Raw, chain[1].Raw}, PrivateKey: serverKey}},
		})
		done := make(chan error, 1)
		go func() { done <- server.Handshake() }()
		client := tls.Client(here, config)
		if err := client.Handshake(); err != nil {
			return who, "", err
		}
		require.NoError(t, <-done)
		who, leaf, err := a.Roots().Caller(server.ConnectionState(), time.Now())
		return who, leaf.SerialNumber.String(), err
	}
	who, first, err := connect(a)
	require.NoError(t, err)
	require.Equal(t, node, who)

	read, err := d.Read()
	require.NoError(t, err)
	request, err := read.Request()
	require.NoError(t, err)
	next, err := a.Issue(node, request, identity.DefaultLife, time.Now())
	require.NoError(t, err)
	require.NoError(t, d.Renew(a.Roots(), next))
	_, second, err := connect(a)
	require.NoError(t, err)
	require.NotEqual(t, first, second)

	_, _, err = connect(authority(t))
	require.ErrorContains(t, err, "this is not the gateway of the authority that this machine has joined")
}
