package registry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
)

// forgetIdentities is how long a row stays that no certificate and no token can name any
// more.
const forgetIdentities = identity.MaxLife + 24*time.Hour

// CreateIdentity adds an identity that joins with a token, and the entries to the audit.
// An unused token of the same role and name is void from now on; one that has joined
// stays until the new token is used.
func (s *Store) CreateIdentity(ctx context.Context, c identity.Creation, by string, audit []fleet.AuditEntry) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		who := c.Identity
		if _, err := tx.Exec(ctx, `
			delete from identities
			where role = $1 and name = $2 and joined_at is null
			   or coalesce(revoked_at, valid_until, token_until) < now() - $3::interval`, string(who.Role), who.Name, forgetIdentities); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			insert into identities (id, role, name, services, grants, life, created_by, token, token_until)
			values ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::interval)`,
			who.ID, string(who.Role), who.Name, nonNil(who.Services), words(who.Grants), int64(c.Life/time.Second), by, c.Hash, c.TokenLife)
		if err != nil {
			return err
		}
		return addToAudit(ctx, tx, audit)
	}, "create the identity %s", c.Identity)
}

// UseToken uses up a token for the holder of a key, revokes the identity that had the role
// and the name before, and returns the new one. The same key may repeat it while the
// token lives.
func (s *Store) UseToken(ctx context.Context, use identity.TokenUse, audit func(identity.Identity) []fleet.AuditEntry) (identity.Enrolled, error) {
	var enrolled identity.Enrolled
	err := s.write(ctx, func(tx pgx.Tx) error {
		var key string
		var ended, revoked bool
		who, life, err := scanIdentity(tx.QueryRow(ctx, `
			select id, role, name, services, grants, life, key, token_until < now(), revoked_at is not null
			from identities where token = $1 for update`, use.Hash), &key, &ended, &revoked)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return refusedToken("it is not known: another one was created since, or it is of another gateway")
		case err != nil:
			return err
		case revoked:
			return refusedToken("the identity %s is revoked", who)
		case ended:
			return refusedToken("its time is over")
		case key != "" && key != use.Key:
			return refusedToken("it was used already")
		}
		enrolled = identity.Enrolled{Identity: who, Life: lifeOf(life, use.Life)}
		if key == "" {
			if _, err := tx.Exec(ctx, `
				update identities set revoked_at = now(), revoked_by = $3
				where role = $1 and name = $2 and joined_at is not null and revoked_at is null`,
				string(who.Role), who.Name, "the next "+who.String()); err != nil {
				return err
			}
			if err := addToAudit(ctx, tx, audit(who)); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `
			update identities set key = $2, joined_at = coalesce(joined_at, now()), joined_from = $3, valid_until = now() + $4::interval, authority = $5
			where id = $1`, who.ID, use.Key, fleet.Text(use.From, maxFrom), enrolled.Life, use.Authority)
		return err
	}, "use a token")
	return enrolled, err
}

// maxFrom bounds where a machine joined from, in characters.
const maxFrom = 255

func refusedToken(why string, args ...any) error {
	return fault.New(fault.Unauthorized, "the token is refused: "+why, args...).
		WithHint("an operator creates another one: mcp identity create ROLE NAME")
}

// RenewIdentity returns an identity that gets its next certificate, of the authority with
// the fingerprint.
func (s *Store) RenewIdentity(ctx context.Context, id string, life time.Duration, authority string) (identity.Enrolled, error) {
	var enrolled identity.Enrolled
	err := s.write(ctx, func(tx pgx.Tx) error {
		who, own, err := scanIdentity(tx.QueryRow(ctx, `
			select id, role, name, services, grants, life from identities
			where id = $1 and joined_at is not null and revoked_at is null for update`, id))
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.Unauthorized, "the identity is revoked, or not in the registry any more").
				WithHint("join again with a new token, which an operator creates: mcp identity create ROLE NAME")
		}
		if err != nil {
			return err
		}
		enrolled = identity.Enrolled{Identity: who, Life: lifeOf(own, life)}
		_, err = tx.Exec(ctx, `update identities set renewed_at = now(), valid_until = now() + $2::interval, authority = $3 where id = $1`, id, enrolled.Life, authority)
		return err
	}, "renew an identity")
	return enrolled, err
}

// RevokeIdentity revokes an identity with its tokens, and adds the entries to the audit.
// If there is none, the error is NotFound.
func (s *Store) RevokeIdentity(ctx context.Context, role identity.Role, name, by string, audit []fleet.AuditEntry) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			update identities set revoked_at = now(), revoked_by = $3 where role = $1 and name = $2 and revoked_at is null`, string(role), name, by)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.NotFound, "there is no identity %s/%s that is not revoked", role, name).WithHint("list them: mcp identity list")
		}
		return addToAudit(ctx, tx, audit)
	}, "revoke the identity %s/%s", role, name)
}

// KeepIdentities adds the identities that the registry lacks, because it was emptied or is
// an older dump, and returns how many there were. Revocations come first: the identities with
// those ids are revoked. One whose place another identity has taken since
// is added as revoked.
func (s *Store) KeepIdentities(ctx context.Context, seen []identity.Seen, revoked []string) (added int, err error) {
	ids := make([]string, len(seen))
	for i, one := range seen {
		ids[i] = one.Identity.ID
	}
	var lacks bool
	err = s.read(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select exists (select from unnest($1::text[]) seen where not exists (select from identities where id = seen))`, ids).Scan(&lacks)
	}, "compare the identities")
	if err != nil || !lacks {
		return 0, err
	}
	err = s.write(ctx, func(tx pgx.Tx) error {
		added = 0
		if _, err := tx.Exec(ctx, `
			update identities set revoked_at = now(), revoked_by = 'a gateway, which remembers it'
			where id = any($1) and revoked_at is null`, revoked); err != nil {
			return err
		}
		for _, one := range seen {
			who := one.Identity
			tag, err := tx.Exec(ctx, `
				with live as (select from identities where role = $2 and name = $3 and joined_at is not null and revoked_at is null)
				insert into identities (id, role, name, services, grants, created_by, token, token_until, key, joined_at, valid_until, revoked_at, revoked_by)
				select $1, $2, $3, $4, $5, 'its certificate', 'lost/' || $1, now(), $6, now(), $7,
				       case when exists (select from live) then now() end, case when exists (select from live) then 'the next ' || $2 || '/' || $3 else '' end
				on conflict do nothing`,
				who.ID, string(who.Role), who.Name, nonNil(who.Services), words(who.Grants), one.Key, one.Until)
			if err != nil {
				return err
			}
			added += int(tag.RowsAffected())
		}
		return nil
	}, "add the identities that the registry has lost")
	return added, err
}

// RevokedIdentities returns the ids of the revoked identities.
func (s *Store) RevokedIdentities(ctx context.Context) ([]string, error) {
	var ids []string
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select id from identities where revoked_at is not null`)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}, "read the revoked identities")
	return ids, err
}

// Identities returns the identities by role and name, the oldest of each first.
func (s *Store) Identities(ctx context.Context) ([]identity.Record, error) {
	var list []identity.Record
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		list, err = identitiesOf(ctx, tx, "")
		return err
	}, "list the identities")
	return list, err
}

// identitiesOf reads the identities that a condition chooses.
func identitiesOf(ctx context.Context, tx pgx.Tx, condition string, args ...any) ([]identity.Record, error) {
	rows, err := tx.Query(ctx, `
		select id, role, name, services, grants, life, created_at, created_by, token_until, joined_at, joined_from, renewed_at,
		       valid_until, revoked_at, revoked_by, authority
		from identities `+condition+` order by role, name, created_at`, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r identity.Record, err error) {
		var joined, renewed, until, revoked *time.Time
		r.Identity, r.Life, err = scanIdentity(row, &r.Created, &r.CreatedBy, &r.TokenUntil, &joined, &r.JoinedFrom, &renewed, &until, &revoked,
			&r.RevokedBy, &r.Authority)
		for from, to := range map[*time.Time]*time.Time{joined: &r.Joined, renewed: &r.Renewed, until: &r.ValidUntil, revoked: &r.Revoked} {
			if from != nil {
				*to = *from
			}
		}
		return r, err
	})
}

// scanIdentity reads the first columns of a row of identities, and more.
func scanIdentity(row pgx.Row, more ...any) (who identity.Identity, life time.Duration, err error) {
	var role string
	var grants []string
	var seconds int64
	if err := row.Scan(append([]any{&who.ID, &role, &who.Name, &who.Services, &grants, &seconds}, more...)...); err != nil {
		return who, 0, err
	}
	who.Role = identity.Role(role)
	if len(who.Services) == 0 {
		who.Services = nil
	}
	for _, g := range grants {
		who.Grants = append(who.Grants, identity.Grant(g))
	}
	return who, time.Duration(seconds) * time.Second, nil
}

func lifeOf(own, standard time.Duration) time.Duration {
	if own == 0 {
		own = standard
	}
	return max(identity.MinLife, min(identity.MaxLife, own))
}

func words[T ~string](list []T) []string {
	texts := make([]string, len(list))
	for i, w := range list {
		texts[i] = string(w)
	}
	return texts
}

// GatewayKeys returns the sealed keys of the gateways by name, with what is public of
// them.
func (s *Store) GatewayKeys(ctx context.Context) (map[string]GatewayKey, error) {
	keys := map[string]GatewayKey{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select name, sealed, public from gateway_keys`)
		if err != nil {
			return err
		}
		var name string
		var key GatewayKey
		_, err = pgx.ForEachRow(rows, []any{&name, &key.Sealed, &key.Public}, func() error {
			keys[name] = GatewayKey{append([]byte(nil), key.Sealed...), key.Public}
			return nil
		})
		return err
	}, "read the keys of the gateways")
	return keys, err
}

// GatewayKey is a key of the gateways.
type GatewayKey struct {
	Sealed []byte
	Public string
}

// AddGatewayKeys adds keys of the gateways. If another gateway has added a key of that name
// meanwhile, that one stays.
func (s *Store) AddGatewayKeys(ctx context.Context, keys map[string]GatewayKey) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		for name, key := range keys {
			if _, err := tx.Exec(ctx, `insert into gateway_keys (name, sealed, public) values ($1, $2, $3) on conflict do nothing`,
				name, key.Sealed, key.Public); err != nil {
				return err
			}
		}
		return nil
	}, "add the keys of the gateways")
}

// GatewaySecret is the name of the key with which gateways sign who asks. Its public half
// is for control workers.
const GatewaySecret = "secret"
