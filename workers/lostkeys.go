package workers

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
)

// Loss is an encryption key that no host has any more, in a registry.
type Loss struct {
	// PostgresURL is that of the owner of the tables.
	PostgresURL string
	// Insecure allows connections without encryption to other machines.
	Insecure bool
	Key      string
}

// Lost is what was lost with a key.
type Lost struct {
	// Records are what is encrypted with it, by service.
	Records []fleet.LostRecords
	// Recorded is set if control workers do not start without the key, and Keys are all keys
	// for which that holds.
	Recorded bool
	Keys     []string
}

// FindLost searches for what is encrypted with the key. It needs no key.
func FindLost(ctx context.Context, l Loss) (lost Lost, err error) {
	store, err := registry.Open(ctx, l.PostgresURL, registry.Insecure(l.Insecure))
	if err != nil {
		return lost, err
	}
	defer store.Close()
	if lost.Keys, err = store.KeyIDs(ctx); err != nil {
		return lost, err
	}
	lost.Records, lost.Recorded, err = store.EncryptedWith(ctx, l.Key)
	return lost, err
}

// ForgetKey removes what is encrypted with the key, and what control workers have recorded
// of it. Begun is added to the audit before that, and ended after it.
func ForgetKey(ctx context.Context, l Loss, begun, ended fleet.AuditEntry) error {
	store, err := registry.Open(ctx, l.PostgresURL, registry.Insecure(l.Insecure))
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.RecordAudit(ctx, []fleet.AuditEntry{begun}); err != nil {
		return err
	}
	if err := store.ForgetKey(ctx, l.Key); err != nil {
		return err
	}
	return store.RecordAudit(ctx, []fleet.AuditEntry{ended})
}
