package registry

import (
	"bytes"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/secrets"
)

// SecretPage reads at most limit secrets of a service, or of all if it is "", that follow
// one, by service and name: each with only its newest version, and how many are kept.
// Those that were removed are left out.
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

// releasesListed is how many of the releases that name a version are listed with it.
const releasesListed = 20

// SecretVersions reads at most limit versions of a service's secrets that follow one, by
// name, the newest first. Each is a secret of its own here, with only that version; a
// secret that was removed has none.
func (s *Store) SecretVersions(ctx context.Context, service string, after secrets.Ref, limit int) ([]secrets.Secret, error) {
	found := []secrets.Secret{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select s.service, s.name, s.newest, s.last, s.removed, coalesce(v.version, 0), coalesce(v.recipients, '[]'), coalesce(v.signer, ''),
			       v.mark, coalesce(v.at, '0001-01-01 00:00:00Z'), coalesce(v.rekeyed_at, '0001-01-01 00:00:00Z'),
			       coalesce(v.who, ''), coalesce(v.from_host, '')
			from secrets s left join secret_versions v using (service, name)
			where s.service = $1 and (s.name > $2 or s.name = $2 and v.version < $3)
			order by s.name, v.version desc limit $4`, service, after.Name, after.Version, limit)
		if err != nil {
			return err
		}
		if found, err = pgx.CollectRows(rows, scanVersion); err != nil {
			return err
		}
		return addReleases(ctx, tx, service, found)
	}, "read the secrets of %s", service)
	return found, err
}

func scanVersion(row pgx.CollectableRow) (one secrets.Secret, err error) {
	var v secrets.Version
	var signer string
	var mark []byte
	err = row.Scan(&one.Service, &one.Name, &one.Newest, &one.Last, &one.Removed, &v.Version, &v.Recipients, &signer,
		&mark, &v.At, &v.Rekeyed, &v.Who, &v.From)
	if err != nil || v.Version == 0 {
		return one, err
	}
	v.Mark = bytes.Clone(mark)
	one.Versions = []secrets.Version{v}
	return one, one.Versions[0].Signer.UnmarshalText([]byte(signer))
}

// addReleases adds to versions of a service's secrets the releases that name them.
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
		select v->>'name', (v->>'version')::integer, (array_agg(distinct number order by number desc))[1:$2]
		from named group by 1, 2`, service, releasesListed)
	if err != nil {
		return err
	}
	var ref secrets.Ref
	var numbers []int
	named := map[secrets.Ref][]int{}
	_, err = pgx.ForEachRow(rows, []any{&ref.Name, &ref.Version, &numbers}, func() error {
		named[ref], numbers = numbers, nil
		return nil
	})
	for _, secret := range found {
		for i, v := range secret.Versions {
			secret.Versions[i].Releases = named[secrets.Ref{Name: secret.Name, Version: v.Version}]
		}
	}
	return err
}

// NewestSecrets reads the numbers of the newest versions of a service's secrets, by name.
func (s *Store) NewestSecrets(ctx context.Context, service string) (map[string]int, error) {
	newest := map[string]int{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		clear(newest)
		rows, err := tx.Query(ctx, `select name, newest from secrets where service = $1 and newest > 0 and not removed`, service)
		if err != nil {
			return err
		}
		var name string
		var version int
		_, err = pgx.ForEachRow(rows, []any{&name, &version}, func() error {
			newest[name] = version
			return nil
		})
		return err
	}, "read the secrets of %s", service)
	return newest, err
}
