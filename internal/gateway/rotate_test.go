package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/seal"
)

// memory is a registry in memory, as far as a rotation needs one.
type memory struct {
	mu      sync.Mutex
	keys    map[string]registry.GatewayKey
	records map[string]*identity.Record // by the hash of their tokens
	audit   []fleet.AuditEntry
	away    error
}

func (m *memory) GatewayKeys(context.Context) (map[string]registry.GatewayKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.keys), m.away
}

func (m *memory) AddGatewayKeys(_ context.Context, keys map[string]registry.GatewayKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, key := range keys {
		if _, there := m.keys[name]; !there {
			m.keys[name] = key
		}
	}
	return m.away
}

func (m *memory) BeginRotation(_ context.Context, next registry.GatewayKey, audit []fleet.AuditEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.keys[nextKey]; !there {
		m.keys[nextKey] = next
		m.audit = append(m.audit, audit...)
	}
	return m.away
}

func (m *memory) waiting(next string) (list []identity.Record) {
	for _, r := range m.records {
		if r.Revoked.IsZero() && (r.Joined.IsZero() || r.Authority != next) {
			list = append(list, *r)
		}
	}
	return list
}

func (m *memory) WaitingForRotation(_ context.Context, next string) ([]identity.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting(next), m.away
}

func (m *memory) FinishRotation(_ context.Context, next, fingerprint string, force bool, audit []fleet.AuditEntry) ([]identity.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := m.waiting(fingerprint)
	if m.keys[nextKey].Public != next {
		return nil, fault.New(fault.Conflict, "meanwhile")
	}
	if len(waiting) == 0 || force {
		m.keys[authorityKey] = m.keys[nextKey]
		delete(m.keys, nextKey)
		m.audit = append(m.audit, audit...)
	}
	return waiting, m.away
}

func (m *memory) RevokedIdentities(context.Context) ([]string, error) { return nil, m.away }

func (m *memory) KeepIdentities(context.Context, []identity.Seen, []string) (int, error) {
	return 0, m.away
}

func (m *memory) UseToken(_ context.Context, use identity.TokenUse, _ func(identity.Identity) []fleet.AuditEntry) (identity.Enrolled, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[use.Hash]
	if !ok {
		return identity.Enrolled{}, fault.New(fault.Unauthorized, "the token is not valid")
	}
	r.Joined, r.Authority = time.Now(), use.Authority
	return identity.Enrolled{Identity: r.Identity, Life: use.Life}, nil
}

func (m *memory) RenewIdentity(_ context.Context, id string, life time.Duration, authority string) (identity.Enrolled, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if r.ID == id {
			r.Authority = authority
			return identity.Enrolled{Identity: r.Identity, Life: life}, nil
		}
	}
	return identity.Enrolled{}, fault.New(fault.Unauthorized, "it is not known")
}

func (m *memory) CreateIdentity(_ context.Context, c identity.Creation, _ string, _ []fleet.AuditEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[c.Hash] = &identity.Record{Identity: c.Identity}
	return nil
}

func (m *memory) RevokeIdentity(context.Context, identity.Role, string, string, []fleet.AuditEntry) error {
	return nil
}

func (m *memory) Identities(context.Context) ([]identity.Record, error) { return nil, nil }

// plane are two gateways with one registry.
type plane struct {
	*testing.T
	*memory
	own       *seal.Identity
	following [2]*following
	addresses [2]string
	offset    atomic.Int64 // of the gateways' clocks
}

// echoing serves streams by sending back what it reads.
type echoing struct{}

func (echoing) Refuse(net.Conn, identity.Identity, error) {}

func (echoing) Serve(_ context.Context, conn net.Conn, _ identity.Identity) error {
	_, err := io.Copy(conn, conn)
	return err
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	p := &plane{T: t, memory: &memory{keys: map[string]registry.GatewayKey{}, records: map[string]*identity.Record{}}}
	var err error
	p.own, err = seal.Load(filepath.Join(t.TempDir(), "gateway.key"))
	require.NoError(t, err)
	for i := range p.addresses {
		k, sealed, err := readKeys(t.Context(), p.memory, p.own, nil)
		require.NoError(t, err)
		f := &following{store: p.memory, own: p.own, copied: newCopies(t.TempDir()), log: slog.New(slog.DiscardHandler), known: sealed, turn: make(chan struct{}, 1)}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		p.addresses[i] = l.Addr().String()
		f.door, err = door.New(door.Options{
			Authorities: k.authorities, Store: p.memory, Doors: []string{p.addresses[i]}, Streams: echoing{}, Rotate: rotate(p.memory, p.own.Key(), f.read),
			Logger: f.log, Refresh: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(p.offset.Load())) },
		})
		require.NoError(t, err)
		p.following[i] = f
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.door.Serve(ctx, l, time.Second)
		}()
		t.Cleanup(func() {
			cancel()
			<-done
		})
	}
	return p
}

// invite makes a token at the first gateway.
func (p *plane) invite(role identity.Role, name string) identity.Token {
	p.Helper()
	token, request := enrol.NewToken(identity.Creation{Identity: identity.Identity{Role: role, Name: name}, TokenLife: time.Hour})
	sealed, err := p.GatewayKeys(p.Context())
	require.NoError(p, err)
	roots, err := identity.ParseRoots([]byte(sealed[authorityKey].Public))
	require.NoError(p, err)
	admin := door.Admin{Store: p.memory, Fingerprint: func() string { return identity.Fingerprint(roots[0]) }, Doors: p.addresses[:1], Now: time.Now}
	answer, err := admin.Do(p.Context(), fleet.Actor{Who: "test"}, request)
	require.NoError(p, err)
	token, err = enrol.Complete(token, answer)
	require.NoError(p, err)
	return token
}

func (p *plane) join(role identity.Role, name string) identity.Directory {
	p.Helper()
	j, err := enrol.Join(p.Context(), p.invite(role, name))
	require.NoError(p, err)
	d := identity.Directory(filepath.Join(p.TempDir(), "identity"))
	require.NoError(p, j.Save(d))
	return d
}

// stream opens a stream, and reports whether it is served.
func (p *plane) stream(d identity.Directory, gateway int) (*tls.Conn, error) {
	p.Helper()
	conn, err := tls.Dial("tcp", p.addresses[gateway], d.ClientTLS(door.StreamProtocol))
	if err != nil {
		return nil, err
	}
	p.Cleanup(func() { _ = conn.Close() })
	require.NoError(p, conn.SetDeadline(time.Now().Add(time.Minute)))
	if _, err := conn.Write([]byte("x")); err != nil {
		return nil, err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return conn, err
}

func (p *plane) ask(d identity.Directory, step identity.RotationStep) (identity.Rotation, error) {
	p.Helper()
	answer, err := enrol.Ask(p.Context(), p.addresses[:1], d, enrol.Request{Rotate: &step})
	if err != nil {
		return identity.Rotation{}, err
	}
	return *answer.Rotation, nil
}

func (p *plane) update(d identity.Directory) (renewed bool) {
	p.Helper()
	renewed, err := enrol.Update(p.Context(), p.addresses[:1], d)
	require.NoError(p, err)
	return renewed
}

// both has the second gateway read the keys, as it does every some seconds.
func (p *plane) both() { p.following[1].read(p.Context()) }

func contentOf(t *testing.T, d identity.Directory) identity.Content {
	t.Helper()
	c, err := d.Read()
	require.NoError(t, err)
	return c
}

func TestAnAuthorityIsReplacedWhileEverybodyWorks(t *testing.T) {
	p := newPlane(t)
	anna, rift, orion := p.join(identity.Operator, "anna"), p.join(identity.Node, "rift"), p.join(identity.Node, "orion")
	lyra := p.join(identity.Node, "lyra") // which is away meanwhile
	old := contentOf(t, anna).Issuer()

	stands, err := p.ask(anna, identity.RotationStep{})
	require.NoError(t, err)
	require.Equal(t, identity.Rotation{Authority: old}, stands)
	_, err = p.ask(anna, identity.RotationStep{Finish: true})
	require.ErrorContains(t, err, "no authority takes over")
	require.False(t, p.update(rift), "nothing is replaced yet")
	_, err = p.ask(rift, identity.RotationStep{Begin: true})
	require.True(t, fault.Is(err, fault.Forbidden), "%v", err)

	// It begins: there is a next authority, which signs nothing until every gateway knows it.
	stands, err = p.ask(anna, identity.RotationStep{Begin: true})
	require.NoError(t, err)
	next := stands.Next
	require.NotEmpty(t, next)
	require.NotEqual(t, old, next)
	require.Equal(t, old, stands.Authority)
	require.Len(t, stands.Waiting, 4)
	again, err := p.ask(anna, identity.RotationStep{Begin: true})
	require.NoError(t, err)
	require.Equal(t, next, again.Next, "a second one changes nothing")
	require.Len(t, p.audit, 2, "and adds nothing to the audit")
	require.False(t, p.update(rift), "not within the first minute")
	require.NoError(t, enrol.Renew(t.Context(), p.addresses[:1], orion))
	require.Equal(t, old, contentOf(t, orion).Issuer())
	require.Equal(t, []string{old, next}, contentOf(t, orion).Roots.Fingerprints(), "who renews trusts both")

	p.both()
	p.offset.Store(int64(identity.Spread + 10*time.Second))
	for _, d := range []identity.Directory{anna, rift} {
		require.True(t, p.update(d))
		require.False(t, p.update(d), "once")
		require.Equal(t, next, contentOf(t, d).Issuer())
		for gateway := range p.addresses {
			_, err := p.stream(d, gateway)
			require.NoError(t, err, "the certificate of the next authority, at a gateway of the present one")
		}
	}
	remains, err := p.stream(orion, 1)
	require.NoError(t, err, "that of the present one goes on")
	works, err := p.stream(rift, 1)
	require.NoError(t, err)

	// A token of this time names the present authority, so that it counts until the end.
	late := p.invite(identity.Edge, "front")
	stands, err = p.ask(anna, identity.RotationStep{})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"node/orion", "node/lyra", "edge/front"}, names(stands.Waiting))
	stands, err = p.ask(anna, identity.RotationStep{Finish: true})
	require.NoError(t, err)
	require.False(t, stands.Finished, "three would be refused")
	require.Equal(t, old, contentOf(t, p.join(identity.Edge, "side")).Roots.Fingerprints()[0], "nothing has changed")

	// It ends: what is of the former authority is refused.
	stands, err = p.ask(anna, identity.RotationStep{Finish: true, Force: true})
	require.NoError(t, err)
	require.True(t, stands.Finished)
	require.Equal(t, next, stands.Authority)
	require.ElementsMatch(t, []string{"node/orion", "node/lyra", "edge/front"}, names(stands.Waiting))
	p.both()
	_, err = remains.Read(make([]byte, 1))
	require.Error(t, err, "an open connection of the former authority is closed")
	_, err = works.Write([]byte("y"))
	require.NoError(t, err)
	_, err = io.ReadFull(works, make([]byte, 1))
	require.NoError(t, err, "that of the new one is not")
	for gateway := range p.addresses {
		_, err = p.stream(orion, gateway)
		require.Error(t, err)
		_, err = p.stream(rift, gateway)
		require.NoError(t, err)
	}
	_, err = enrol.Join(t.Context(), late)
	require.ErrorContains(t, err, "another authority than the token names")
	for d, want := range map[identity.Directory][2]string{
		orion: {"the certificate of node/orion is of an authority that was replaced, and counts no more", "join again with a new token, which an operator creates: mcp identity create node orion"},
		lyra:  {"this is not the gateway of the authority that this machine has joined", "if the authority was replaced while this machine was away, join again with a new token, which an operator creates: mcp identity create node lyra; otherwise find out who answers at this address"},
	} {
		refusal := fault.Of(enrol.Refusal(t.Context(), p.addresses[:1], d))
		require.Equal(t, fault.Unauthorized, refusal.Kind)
		require.Contains(t, refusal.Message, want[0])
		require.Equal(t, want[1], refusal.Hint)
		require.False(t, p.update(d))
	}
	require.NoError(t, enrol.Refusal(t.Context(), p.addresses[:1], rift))
	require.NoError(t, enrol.Refusal(t.Context(), p.addresses[:1], p.join(identity.Node, "lyra")), "the way back")
	require.True(t, p.update(rift), "the former authority is not trusted any more")
	require.Equal(t, []string{next}, contentOf(t, rift).Roots.Fingerprints())
	again, err = p.ask(anna, identity.RotationStep{})
	require.NoError(t, err)
	require.Equal(t, identity.Rotation{Authority: next}, again)
	require.Len(t, p.audit, 4)

	// Who joins now has nothing of the former one, and a gateway that starts anew serves.
	require.Equal(t, []string{next}, contentOf(t, p.join(identity.Node, "vega")).Roots.Fingerprints())
	opened, _, err := readKeys(t.Context(), p.memory, p.own, nil)
	require.NoError(t, err)
	require.Equal(t, next, opened.authorities.Current.Fingerprint())
	require.Nil(t, opened.authorities.Next)
}

func names(list []identity.Record) (names []string) {
	for _, r := range list {
		names = append(names, r.String())
	}
	return names
}

// A gateway that starts while Postgres is away knows both authorities from its copy.
func TestTheCopyHasTheNextAuthority(t *testing.T) {
	p := newPlane(t)
	anna := p.join(identity.Operator, "anna")
	stands, err := p.ask(anna, identity.RotationStep{Begin: true})
	require.NoError(t, err)
	kept := p.following[0].copied
	opened, err := openKeys(kept.read().Keys, p.own)
	require.NoError(t, err)
	require.Equal(t, stands.Next, opened.authorities.Next.Fingerprint())

	p.away = fault.New(fault.Unavailable, "the registry is away")
	_, err = p.ask(anna, identity.RotationStep{Finish: true, Force: true})
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	p.following[0].read(t.Context())
	p.away = nil
	stands, err = p.ask(anna, identity.RotationStep{})
	require.NoError(t, err)
	require.NotEmpty(t, stands.Next)
}

// A registry that was emptied gets the keys back, from a gateway that runs or from the copy
// of one that starts, so that every identity stays valid.
func TestARegistryThatWasEmptiedGetsTheKeysBack(t *testing.T) {
	p := newPlane(t)
	rift := p.join(identity.Node, "rift")
	lost := p.keys
	p.keys = map[string]registry.GatewayKey{}
	_, _, err := rotationOf(t.Context(), p.memory)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	require.Contains(t, fault.Of(err).Hint, "puts back within 10s", "until a gateway reads them again")
	_, err = openKeys(p.keys, p.own)
	require.ErrorContains(t, err, `"authority" is missing`)
	require.NotErrorIs(t, err, ErrOtherKey)
	p.following[0].read(t.Context())
	require.Equal(t, lost, p.keys)
	_, err = p.stream(rift, 0)
	require.NoError(t, err)

	p.keys = map[string]registry.GatewayKey{}
	_, sealed, err := readKeys(t.Context(), p.memory, p.own, lost)
	require.NoError(t, err)
	require.Equal(t, lost, sealed)
	require.Equal(t, lost, p.keys)

	// A copy that this gateway cannot open is that of another fleet, or was given up.
	other, err := seal.Load(filepath.Join(t.TempDir(), "gateway.key"))
	require.NoError(t, err)
	p.keys = map[string]registry.GatewayKey{}
	_, sealed, err = readKeys(t.Context(), p.memory, other, lost)
	require.NoError(t, err)
	require.NotEqual(t, lost[authorityKey].Public, sealed[authorityKey].Public)
}
