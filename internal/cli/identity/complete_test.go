package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/identity"
)

func TestTheNamesThatAreOffered(t *testing.T) {
	now := time.Now()
	later := now.Add(time.Hour)
	of := func(role identity.Role, name string, change func(*identity.Record)) identity.Record {
		r := identity.Record{Identity: identity.Identity{Role: role, Name: name}, Joined: now, ValidUntil: later, TokenUntil: later}
		if change != nil {
			change(&r)
		}
		return r
	}
	invited := func(r *identity.Record) { r.Joined = time.Time{} }
	require.Equal(t, map[string]string{"node/rift": "active", "node/orion": "invited", "edge/front": "expired"}, states([]identity.Record{
		of(identity.Node, "rift", func(r *identity.Record) { r.Revoked = now }),
		of(identity.Node, "rift", nil),
		of(identity.Node, "rift", invited),
		of(identity.Node, "orion", invited),
		of(identity.Node, "gone", func(r *identity.Record) { r.Revoked = now }),
		of(identity.Edge, "front", func(r *identity.Record) { r.ValidUntil = now.Add(-time.Second) }),
	}, now))
}

func TestHowARotationStandsInWords(t *testing.T) {
	now := time.Now()
	records := make([]identity.Record, 10)
	for i := range records {
		records[i] = identity.Record{Identity: identity.Identity{Role: identity.Node, Name: "n" + string(rune('0'+i))}, Joined: now, ValidUntil: now.Add(time.Hour)}
	}
	r := rotatedOf(identity.Rotation{Authority: "a", Next: "b", Waiting: records}, now)
	require.Equal(t, "node/n0, node/n1, node/n2, node/n3, node/n4, node/n5, node/n6, node/n7, and 2 more", named(r.Waiting))
	require.Equal(t, "10 identities still need the present authority", needed(len(r.Waiting)))
	require.Equal(t, "one identity still needs the present authority", needed(1))
	require.Equal(t, "active", r.Waiting[0].State)
	require.NotNil(t, rotatedOf(identity.Rotation{}, now).Waiting, "a list in JSON, also where it is empty")
}
