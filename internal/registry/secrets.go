package registry

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
)

// AddSecret adds the next version of a secret, whose number the envelope has, or replaces
// the envelope of a version that exists, if that is asked for. A repeated call changes
// nothing. The error is a Conflict if another version has that number, and Invalid if the
// newest values of the service would be too large to travel together.
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

// mustFit returns an error if the newest values of a service are too large together.
func mustFit(ctx context.Context, tx pgx.Tx, service string) error {
	var size int
	err := tx.QueryRow(ctx, `
		select coalesce(sum(`+sizeOnTheWay+`), 0)
		from secrets s join secret_versions v on (v.service, v.name, v.version) = (s.service, s.name, s.newest)
		where s.service = $1`, service).Scan(&size)
	if err == nil && size > fleet.MaxSealed {
		err = fault.New(fault.Invalid, "the secrets of %s would have %d KiB together, sealed: at most %d can travel to a node", service, (size+1023)>>10, fleet.MaxSealed>>10).
			WithHint("remove one that is not needed (mcp secret list %s), or keep what is large in a volume, encrypted with a key that is a secret", service)
	}
	return err
}

// RemoveSecret deletes the versions of a secret, unless may returns an error, and returns
// how many there were. Its number goes on counting. May is pure: it runs inside the
// transaction, and runs again where that is retried.
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

// Secrets reads the secrets of a service, or of all where it is "", by service and name,
// also those that were removed.
func (s *Store) Secrets(ctx context.Context, service string) ([]secrets.Secret, error) {
	found := []secrets.Secret{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select service, name, newest, last, removed from secrets where $1 in ('', service) order by service, name`, service)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (one secrets.Secret, err error) {
			return one, row.Scan(&one.Service, &one.Name, &one.Newest, &one.Last, &one.Removed)
		})
		if err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `
			select service, name, version, recipients, signer, mark, at, coalesce(rekeyed_at, '0001-01-01 00:00:00Z'), who, from_host
			from secret_versions where $1 in ('', service) order by service, name, version desc`, service)
		if err != nil {
			return err
		}
		if err := addVersions(rows, found); err != nil || service == "" {
			return err
		}
		return addReleases(ctx, tx, service, found)
	}, "read the secrets of %s", service)
	return found, err
}

// SecretPage reads the secrets of a service, or of all where it is "", that follow one, by
// service and name, and limit of them at most: each with its newest version alone, and how
// many are kept. Those that were removed are left out.
func (s *Store) SecretPage(ctx context.Context, service string, after secrets.Ref, limit int) ([]secrets.Secret, error) {
	found := []secrets.Secret{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select s.service, s.name, s.newest, (select count(*) from secret_versions k where (k.service, k.name) = (s.service, s.name)),
			       v.recipients, v.signer, v.at, coalesce(v.rekeyed_at, '0001-01-01 00:00:00Z'), v.who, v.from_host
			from secrets s join secret_versions v on (v.service, v.name, v.version) = (s.service, s.name, s.newest)
			where $1 in ('', s.service) and (s.service, s.name) > ($2, $3) and not s.removed
			order by s.service, s.name limit $4`, service, after.Service, after.Name, limit)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (one secrets.Secret, err error) {
			var v secrets.Version
			var signer string
			if err := row.Scan(&one.Service, &one.Name, &one.Newest, &one.Kept, &v.Recipients, &signer, &v.At, &v.Rekeyed, &v.Who, &v.From); err != nil {
				return one, err
			}
			v.Version = one.Newest
			err = v.Signer.UnmarshalText([]byte(signer))
			one.Versions = []secrets.Version{v}
			return one, err
		})
		return err
	}, "read the secrets of %s", service)
	return found, err
}

// addVersions adds the versions in rows to secrets, which are in the same order.
func addVersions(rows pgx.Rows, found []secrets.Secret) error {
	var service, name, signer string
	var v secrets.Version
	at := 0
	_, err := pgx.ForEachRow(rows, []any{&service, &name, &v.Version, &v.Recipients, &signer, &v.Mark, &v.At, &v.Rekeyed, &v.Who, &v.From}, func() error {
		for found[at].Service != service || found[at].Name != name {
			at++
		}
		if err := v.Signer.UnmarshalText([]byte(signer)); err != nil {
			return err
		}
		v.Recipients, v.Mark = slices.Clone(v.Recipients), bytes.Clone(v.Mark)
		found[at].Versions = append(found[at].Versions, v)
		return nil
	})
	return err
}

// addReleases adds to the versions of a service's secrets the releases that name them.
func addReleases(ctx context.Context, tx pgx.Tx, service string, found []secrets.Secret) error {
	rows, err := tx.Query(ctx, `
		with releases as (
		    select d.number, d.definition from deployments d join services s on s.name = d.service
		    where d.service = $1 and (d.outcome = 'succeeded' or d.number = s.release)
		), named as (
		    select number, jsonb_path_query(definition, '$.components[*].secret_versions.*') as v from releases
		    union all
		    select number, jsonb_path_query(definition, '$.steps[*].secret_versions.*') from releases
		)
		select v->>'name', (v->>'version')::integer, array_agg(distinct number order by number desc)
		from named group by 1, 2`, service)
	if err != nil {
		return err
	}
	var name string
	var version int
	var numbers []int
	_, err = pgx.ForEachRow(rows, []any{&name, &version, &numbers}, func() error {
		for i := range found {
			for j := range found[i].Versions {
				if v := &found[i].Versions[j]; found[i].Name == name && v.Version == version {
					v.Releases = slices.Clone(numbers)
				}
			}
		}
		return nil
	})
	return err
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
