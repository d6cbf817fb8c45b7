package registry

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
)

// AddSecret adds the next version of a secret, whose number the envelope contains, or
// replaces the envelope of a version that exists, if that is asked for. A repeated call
// changes nothing. The error is a Conflict if another version has that number, and Invalid
// if the newest values of the service would be too large to travel together, or the versions
// that are kept too many for a deploy to read.
func (s *Store) AddSecret(ctx context.Context, a secrets.Addition) error {
	e := a.Envelope
	return s.write(ctx, func(tx pgx.Tx) error {
		newest, err := lockSecret(ctx, tx, e.Service, e.Name)
		if err != nil {
			return err
		}
		var signature []byte
		err = tx.QueryRow(ctx, `select signature from secret_versions where (service, name, version) = ($1, $2, $3)`,
			e.Service, e.Name, e.Version).Scan(&signature)
		exists := err == nil
		switch {
		case err != nil && !errors.Is(err, pgx.ErrNoRows):
			return err
		case exists && bytes.Equal(signature, e.Signature):
			return nil // a repetition
		case a.Rekey && !exists:
			return fault.New(fault.Conflict, "%s is not kept any more", e.Ref)
		case !a.Rekey && e.Version != newest+1:
			return fault.New(fault.Conflict, "the next version of %s/%s is %d, not %d", e.Service, e.Name, newest+1, e.Version).
				WithHint("another command has set it meanwhile: repeat yours")
		case a.Rekey:
			err = replaceEnvelope(ctx, tx, a)
		default:
			err = insertVersion(ctx, tx, a)
		}
		if err != nil {
			return err
		}
		return mustFit(ctx, tx, e.Service)
	}, "record %s", e.Ref)
}

// lockSecret locks a secret, which is recorded if it is new, and returns the number of its
// last version.
func lockSecret(ctx context.Context, tx pgx.Tx, service, name string) (newest int, err error) {
	if _, err := tx.Exec(ctx, `insert into secrets (service, name) values ($1, $2) on conflict do nothing`, service, name); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `select greatest(newest, last) from secrets where (service, name) = ($1, $2) for update`, service, name).Scan(&newest)
	return newest, err
}

func insertVersion(ctx context.Context, tx pgx.Tx, a secrets.Addition) error {
	e := a.Envelope
	if _, err := tx.Exec(ctx, `update secrets set newest = $3, last = 0, removed = false where (service, name) = ($1, $2)`, e.Service, e.Name, e.Version); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		insert into secret_versions (service, name, version, recipients, sealed, signer, signature, mark, who, from_host)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.Service, e.Name, e.Version, e.Recipients, e.Sealed, e.Signer.String(), e.Signature, a.Mark, a.Who, a.From)
	return err
}

func replaceEnvelope(ctx context.Context, tx pgx.Tx, a secrets.Addition) error {
	e := a.Envelope
	_, err := tx.Exec(ctx, `
		update secret_versions
		set recipients = $4, sealed = $5, signer = $6, signature = $7, mark = $8, rekeyed_at = now()
		where (service, name, version) = ($1, $2, $3)`,
		e.Service, e.Name, e.Version, e.Recipients, e.Sealed, e.Signer.String(), e.Signature, a.Mark)
	return err
}

// RemoveSecret deletes the versions of a secret, unless may returns an error, and returns
// how many there were. Its number goes on counting. May is pure: it runs inside the
// transaction, and runs again if that is retried.
func (s *Store) RemoveSecret(ctx context.Context, service, name string, may func(fleet.Release) error) (versions int, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		release, err := loadRelease(ctx, tx, service)
		if err != nil {
			return err
		}
		if err := may(release); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update secrets set removed = true where (service, name) = ($1, $2)`, service, name); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `delete from secret_versions where (service, name) = ($1, $2)`, service, name)
		versions = int(tag.RowsAffected())
		return err
	}, "remove the secret %s/%s", service, name)
	return versions, err
}

// Envelopes reads the envelopes of versions, in their order. The error is NotFound if one
// is not kept.
func (s *Store) Envelopes(ctx context.Context, refs []secrets.Ref) ([]secrets.Envelope, error) {
	var found []secrets.Envelope
	err := s.read(ctx, func(tx pgx.Tx) error {
		found = nil
		for _, ref := range refs {
			e := secrets.Envelope{Ref: ref}
			var signer string
			err := tx.QueryRow(ctx, `
				select recipients, sealed, signer, signature from secret_versions where (service, name, version) = ($1, $2, $3)`,
				ref.Service, ref.Name, ref.Version).Scan(&e.Recipients, &e.Sealed, &signer, &e.Signature)
			if errors.Is(err, pgx.ErrNoRows) {
				return fault.New(fault.NotFound, "%s is not kept any more", ref).
					WithHint("it was removed, or went with the releases that named it; set the value again: mcp secret set %s/%s", ref.Service, ref.Name)
			}
			if err == nil {
				err = e.Signer.UnmarshalText([]byte(signer))
			}
			if err != nil {
				return err
			}
			found = append(found, e)
		}
		return nil
	}, "read sealed secrets")
	return found, err
}

// WithdrawSecret deletes the newest version of a secret, so that the one before it that is
// kept is the newest. Its number is not used again. One that is not the newest, that is
// the only one, or that the release has, is not changed.
func (s *Store) WithdrawSecret(ctx context.Context, ref secrets.Ref) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		if _, err := lockSecret(ctx, tx, ref.Service, ref.Name); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			with before as (
			    select max(version) as version from secret_versions where (service, name) = ($1, $2) and version < $3
			), withdrawn as (
			    update secrets s set newest = before.version, last = greatest(s.last, $3)
			    from before
			    where (s.service, s.name, s.newest) = ($1, $2, $3) and before.version is not null
			      and not exists (
			          select from services join deployments d on (d.service, d.number) = (services.name, services.release),
			               jsonb_path_query(d.definition, '$.components[*].secret_versions.*') v
			          where services.name = $1 and v->>'name' = $2 and (v->>'version')::integer = $3)
			    returning s.name
			)
			delete from secret_versions
			where (service, name, version) = ($1, $2, $3) and exists (select from withdrawn)`, ref.Service, ref.Name, ref.Version)
		return err
	}, "withdraw %s", ref)
}
