package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// CheckPostgres fails if a Postgres URL is not valid, or leads to another machine
// without encryption, unless that is allowed.
func CheckPostgres(url string, insecure bool) error {
	return registry.CheckURL(url, registry.Insecure(insecure))
}

// Migration is what the owner of mcp's tables does: see Migrate.
type Migration struct {
	// PostgresURL is the owner's. Role is that of the workers; "" if they connect as the
	// owner.
	PostgresURL, Role string
	// Insecure allows connections without encryption to other machines.
	Insecure bool
	// KeepAudit is how long the audit is kept.
	KeepAudit time.Duration
	// Keys encrypt what the tables contain; nil for none. Decrypt decrypts all of it instead.
	Keys    *keyring.Keys
	Decrypt bool
	// Audited returns the audit's entries about the migration.
	Audited func(Migrated) []fleet.AuditEntry
}

// Migrated is what a migration has done: the versions of the tables before and after, and
// how many actions it has removed from the audit because they were old.
type Migrated struct {
	From    int `json:"from"`
	To      int `json:"to"`
	Expired int `json:"expired"`
	// Granted is the role of the workers; "" if they connect as the owner.
	Granted string `json:"granted,omitempty"`
	// Encrypted is how many rows were newly encrypted, with the key of that id, or decrypted,
	// and Forgotten are the ids of the keys that no process needs any more.
	Encrypted int      `json:"encrypted,omitempty"`
	Key       string   `json:"key,omitempty"`
	Forgotten []string `json:"forgotten,omitempty"`
}

// Migrate migrates mcp's tables to the version that this program needs, grants the
// workers' role what it needs of them, and expires the audit. Control workers that own the
// tables migrate them, too, when they start.
func Migrate(ctx context.Context, m Migration) (did Migrated, err error) {
	with := registry.Insecure(m.Insecure)
	if did.From, did.To, err = registry.Migrate(ctx, m.PostgresURL, with); err != nil {
		return did, err
	}
	if m.Role != "" {
		if err := registry.Grant(ctx, m.PostgresURL, m.Role, with); err != nil {
			return did, err
		}
		did.Granted = m.Role
	}
	if did.Expired, err = registry.ExpireAudit(ctx, m.PostgresURL, time.Now().Add(-m.KeepAudit), with); err != nil {
		return did, err
	}
	store, err := registry.OpenSealed(ctx, m.PostgresURL, m.Keys, with)
	if err != nil {
		return did, err
	}
	defer store.Close()
	resealed, err := store.Reseal(ctx, m.Decrypt)
	did.Encrypted, did.Key, did.Forgotten = resealed.Rows, resealed.Key, resealed.Forgotten
	if err != nil {
		return did, err
	}
	return did, store.RecordAudit(ctx, m.Audited(did))
}

// LimitedRole is the role that workers connect as, if that is not the owner's; "" if it
// is.
func LimitedRole(workersURL, ownersURL string) (string, error) {
	role, err := registry.UserOf(workersURL)
	if err != nil {
		return "", err
	}
	owner, err := registry.UserOf(ownersURL)
	if err != nil || role == owner {
		return "", err
	}
	return role, nil
}

// RemoveContainers removes from one podman the containers of every service in the
// registry, whichever deployment created them. It leaves all other containers
// alone.
func RemoveContainers(ctx context.Context, postgresURL, socket string) error {
	store, err := registry.Open(ctx, postgresURL)
	if err != nil {
		return fmt.Errorf("open the registry: %w", err)
	}
	defer store.Close()
	services, err := store.ServiceNames(ctx)
	if err != nil {
		return fmt.Errorf("list services: %w", err)
	}
	engine := podman.New(socket)
	var problems []error
	for _, service := range services {
		containers, err := engine.List(ctx, map[string]string{runtime.LabelService: service})
		problems = append(problems, err)
		for _, container := range containers {
			problems = append(problems, engine.Remove(ctx, container.Name))
		}
	}
	return errors.Join(problems...)
}
