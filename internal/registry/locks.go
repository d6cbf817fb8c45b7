package registry

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
)

// lockService lets one transaction at a time open, commit and close the
// service's deployments. It is taken before any lock of a deployment, so that no
// two transactions can wait for each other; ports may be allocated meanwhile.
func lockService(ctx context.Context, tx pgx.Tx, service string) error {
	_, err := tx.Exec(ctx, `select from services where name = $1 for no key update`, service)
	return err
}

// deploymentState locks a deployment against being closed by another transaction.
// Closed reports whether it has an outcome, committed whether it is the service's
// release. Another run's deployment of that number, which may exist after a restore
// from a backup, is another one, and closed: run is "" if any is meant.
func deploymentState(ctx context.Context, tx pgx.Tx, service string, number int, run string) (closed, committed bool, err error) {
	err = tx.QueryRow(ctx, `
		select d.outcome is not null or d.run_id <> $3 and $3 <> '',
		       s.release is not distinct from d.number and (d.run_id = $3 or $3 = '')
		from deployments d join services s on s.name = d.service
		where d.service = $1 and d.number = $2
		for no key update of d`, service, number, run).Scan(&closed, &committed)
	if errors.Is(err, pgx.ErrNoRows) {
		// As when a newer one has taken over, nothing that it writes would count.
		err = fault.New(fault.Conflict, "deployment %d of %s is not in the registry, which was restored or emptied since it began", number, service).
			WithHint("deploy it again: mcp deploy %s", service)
	}
	return closed, committed, err
}

// superseded is the error of a step of a closed deployment.
func superseded(service string, number int) error {
	return fault.New(fault.Conflict, "deployment %d of %s is over: a newer one has begun, or its workflow has ended", number, service)
}

// runOf returns the run of a deployment, which the request mostly names.
func runOf(ctx context.Context, tx pgx.Tx, service string, deployment int, named string) (run string, err error) {
	if named != "" {
		return named, nil
	}
	err = tx.QueryRow(ctx, `select run_id from deployments where service = $1 and number = $2`, service, deployment).Scan(&run)
	return run, err
}
