package registry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// sizeOnTheWay is how many bytes the envelope of the version v has as JSON, at most: names,
// version, signer and signature take less than 512.
const sizeOnTheWay = `((octet_length(v.sealed) + 2) / 3 * 4 + octet_length(v.recipients::text) + 512)`

// sizeKept is how many bytes fleet.KeptVersion of the version v has as JSON, with its
// number, at most.
const sizeKept = `(octet_length(v.signer) + 64 + coalesce((select sum(octet_length(r.name) + 3) from jsonb_to_recordset(v.recipients) as r (name text)), 0))`

// keptSecrets selects the secrets of the service $1, with the versions that are kept, as
// fleet.KeptSecret. One that was removed has none.
const keptSecrets = `
	select s.name, jsonb_build_object(
	    'newest', case when s.removed then 0 else s.newest end,
	    'versions', (
	        select jsonb_object_agg(v.version, jsonb_build_object(
	            'signer', v.signer, 'size', ` + sizeOnTheWay + `,
	            'nodes', array(
	                select n.name from jsonb_to_recordset(v.recipients) as r (name text, recovery boolean, key text)
	                join nodes n on n.name = r.name and n.key = r.key
	                where r.recovery is not true order by n.name)))
	        from secret_versions v where (v.service, v.name) = (s.service, s.name))) as kept
	from secrets s where s.service = $1`

// mustFit returns an error if the newest values of a service are too large together, or if
// a deploy would read too much about the versions that are kept.
func mustFit(ctx context.Context, tx pgx.Tx, service string) error {
	var size, kept, versions int
	err := tx.QueryRow(ctx, `
		select coalesce(sum(`+sizeOnTheWay+`) filter (where v.version = s.newest), 0),
		       coalesce(sum(`+sizeKept+`), 0) + (select coalesce(sum(octet_length(name) + 48), 0) from secrets where service = $1),
		       count(*)
		from secrets s join secret_versions v using (service, name)
		where s.service = $1`, service).Scan(&size, &kept, &versions)
	switch {
	case err != nil:
		return err
	case size > fleet.MaxSealed:
		return fault.New(fault.Invalid, "the secrets of %s would have %d KiB together, sealed: at most %d can travel to a node", service, (size+1023)>>10, fleet.MaxSealed>>10).
			WithHint("remove one that is not needed (mcp secret list %s), or keep what is large in a volume, encrypted with a key that is a secret", service)
	case kept > fleet.MaxKept:
		return fault.New(fault.Invalid, "%d versions of secrets would be kept for %s: a deploy would read %d KiB about them, and reads %d at most", versions, service, (kept+1023)>>10, fleet.MaxKept>>10).
			WithHint("deploy %s with the newest versions, which drops those that its last releases do not name; or remove secrets that are not needed: mcp secret rm %s/NAME", service, service)
	}
	return nil
}

// commitSecrets deletes the versions of the service's secrets that neither its last
// releases name nor the next deployment uses, and returns those that are kept.
func commitSecrets(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest) ([]fleet.SecretRef, error) {
	rows, err := tx.Query(ctx, `
		with recent as (
		    select d.definition
		    from deployments d join services s on s.name = d.service
		    where d.service = $1 and (d.outcome = 'succeeded' or d.number = s.release) and d.digests <> '{}'
		    order by d.number desc limit $2
		), named as (
		    select v->>'name' as name, (v->>'version')::integer as version
		    from recent, jsonb_path_query(recent.definition, '$.components[*].secret_versions.*') v
		    union
		    select v->>'name', (v->>'version')::integer
		    from recent, jsonb_path_query(recent.definition, '$.steps[*].secret_versions.*') v
		), kept as (
		    select v.name, v.version
		    from secret_versions v join secrets s using (service, name)
		    where v.service = $1 and (v.version = s.newest or (v.name, v.version) in (select name, version from named))
		), dropped as (
		    delete from secret_versions v
		    where v.service = $1 and (v.name, v.version) not in (select name, version from kept)
		)
		select name, version from kept order by name, version`, r.Service, r.KeptReleases)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.SecretRef])
}
