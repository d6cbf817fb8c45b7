package registry

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
)

// The names of the authorities among the keys of the gateways.
const (
	GatewayAuthority     = "authority"
	GatewayNextAuthority = "authority.next"
)

// BeginRotation adds the authority that takes over, and the entries to the audit. If there
// is one already, that stays, and nothing is added.
func (s *Store) BeginRotation(ctx context.Context, next GatewayKey, audit []fleet.AuditEntry) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into gateway_keys (name, sealed, public) values ($1, $2, $3) on conflict do nothing`,
			GatewayNextAuthority, next.Sealed, next.Public)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return addToAudit(ctx, tx, audit)
	}, "add the next authority of the gateways")
}

// WaitingForRotation returns the identities that an authority has not signed yet: those
// with a certificate that lives, and those with a token that lives, which names the
// present authority.
func (s *Store) WaitingForRotation(ctx context.Context, next string) (list []identity.Record, err error) {
	err = s.read(ctx, func(tx pgx.Tx) error {
		list, err = waitingFor(ctx, tx, next)
		return err
	}, "list the identities that wait for the next authority")
	return list, err
}

func waitingFor(ctx context.Context, tx pgx.Tx, next string) ([]identity.Record, error) {
	return identitiesOf(ctx, tx, `where revoked_at is null and
		(joined_at is null and token_until > now() or joined_at is not null and valid_until > now() and authority <> $1)`, next)
}

// FinishRotation replaces the authority with the next one, given by its public half, and
// adds the entries to the audit. Identities that would be refused then prevent it unless
// force is set, and are returned: nothing is changed then.
func (s *Store) FinishRotation(ctx context.Context, next, fingerprint string, force bool, audit []fleet.AuditEntry) (waiting []identity.Record, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		var public string
		err := tx.QueryRow(ctx, `select public from gateway_keys where name = $1 for update`, GatewayNextAuthority).Scan(&public)
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && public != next:
			return fault.New(fault.Conflict, "the authority was replaced meanwhile").WithHint("see how it stands: mcp identity rotate --status")
		case err != nil:
			return err
		}
		if waiting, err = waitingFor(ctx, tx, fingerprint); err != nil || len(waiting) > 0 && !force {
			return err
		}
		if _, err := tx.Exec(ctx, `
			update gateway_keys set (sealed, public, created_at) = (select sealed, public, created_at from gateway_keys where name = $2)
			where name = $1`, GatewayAuthority, GatewayNextAuthority); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from gateway_keys where name = $1`, GatewayNextAuthority); err != nil {
			return err
		}
		return addToAudit(ctx, tx, audit)
	}, "replace the authority of the gateways")
	return waiting, err
}
