package registry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// formerImages returns the images of the former releases of a service, those before
// its last ones, and whether anything uses them: a component of any service, one of
// any service's last releases, or a tag that a deployment under way may just have
// built. A release is a deployment that succeeded, or is just being committed, and
// has images.
func formerImages(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest) ([]fleet.FormerImage, error) {
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
		    union all select image, digest from jobs where released
		    union all select image #>> '{}', null
		    from deployments, jsonb_path_query(definition, '$.*[*].image') image
		    where outcome is null
		)
		select distinct former.image, former.digest,
		       exists (select from kept where kept.image = former.image),
		       exists (select from kept where kept.digest = former.digest)
		from named former
		where former.service = $1 and former.place > $2::int and former.digest <> ''
		order by former.image, former.digest`, r.Service, r.KeptReleases, r.FormerReleases)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.FormerImage])
}
