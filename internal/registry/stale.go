package registry

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

const (
	// keptReleases is how many of a service's last releases keep their images,
	// so that a rollback to one of them has nothing to pull.
	keptReleases = 5
	// lookBack is how many releases before those are looked through. Images
	// that a node has missed to prune are named again by the next commits; and
	// a commit costs the same after years.
	lookBack = 10
)

// staleImages are those that releases of the service before its last ones
// name, and nothing that counts: no component of any service, none of any
// service's last releases, and no tag that a deployment under way may just
// have built. A release is a deployment that succeeded, or is just being
// committed, and has images.
func staleImages(ctx context.Context, tx pgx.Tx, service string) (fleet.CommitResult, error) {
	var stale fleet.CommitResult
	rows, err := tx.Query(ctx, `
		with named as (
		    select s.name as service, release.place, image.key as image, image.value as digest
		    from services s
		    cross join lateral (
		        select digests, row_number() over (order by number desc) as place
		        from deployments
		        where service = s.name and (outcome = 'succeeded' or number = s.release) and digests <> '{}'
		        order by number desc
		        limit case when s.name = $1 then $2::int + $3::int else $2::int end) release
		    cross join lateral jsonb_each_text(release.digests) image
		), kept as (
		    select image, digest from named where place <= $2::int
		    union all select image, digest from components
		    union all select image #>> '{}', null
		    from deployments, jsonb_path_query(definition, '$.components[*].image') image
		    where outcome is null
		)
		select distinct former.image, former.digest,
		       not exists (select from kept where kept.image = former.image),
		       not exists (select from kept where kept.digest = former.digest)
		from named former
		where former.service = $1 and former.place > $2::int and former.digest <> ''
		order by former.image, former.digest`, service, keptReleases, lookBack)
	if err != nil {
		return stale, err
	}
	var image, digest string
	var tagIsStale, digestIsStale bool
	_, err = pgx.ForEachRow(rows, []any{&image, &digest, &tagIsStale, &digestIsStale}, func() error {
		if tagIsStale && !strings.Contains(image, "@") {
			stale.Tags = append(stale.Tags, image)
		}
		if digestIsStale {
			stale.Digests = append(stale.Digests, servicedef.ByDigest(image, digest))
		}
		return nil
	})
	return stale, err
}
