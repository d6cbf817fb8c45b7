package registry

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// BeginDeployment opens a deployment and gives it its number; each run of a
// workflow gets one. An older deployment of the service that has not ended has lost
// its workflow, which was the lock: it is closed, as lost unless it is the release, and
// the ports that only it held are set to rest. An endpoint of the definition that another
// service holds is a Conflict.
func (s *Store) BeginDeployment(ctx context.Context, r fleet.BeginRequest) (fleet.BeginResult, error) {
	var result fleet.BeginResult
	err := s.write(ctx, func(tx pgx.Tx) error {
		number, interim, err := openDeployment(ctx, tx, r)
		if err != nil {
			return err
		}
		release, err := loadRelease(ctx, tx, r.Definition.Name)
		if err != nil {
			return err
		}
		result = fleet.BeginResult{Number: number, Release: release, Interim: interim}
		return nil
	}, "open a deployment of %s", r.Definition.Name)
	return result, err
}

// openDeployment returns the number of the run's deployment, a new one if the run
// has none. Interim is set if edges serve something other than the release.
func openDeployment(ctx context.Context, tx pgx.Tx, r fleet.BeginRequest) (number int, interim bool, err error) {
	service := r.Definition.Name
	if _, err := tx.Exec(ctx, `insert into services (name) values ($1) on conflict do nothing`, service); err != nil {
		return 0, false, err
	}
	if err := lockService(ctx, tx, service); err != nil {
		return 0, false, err
	}
	if r.Given != nil {
		if _, err := recordDefinition(ctx, tx, *r.Given); err != nil {
			return 0, false, err
		}
	}
	err = tx.QueryRow(ctx, `select number, `+isInterim+` from deployments where run_id = $2 and service = $1`, service, r.RunID).
		Scan(&number, &interim)
	if !errors.Is(err, pgx.ErrNoRows) {
		return number, interim, err
	}
	if err := ensureNodes(ctx, tx, r.Definition); err != nil {
		return 0, false, err
	}
	if err := closeLost(ctx, tx, service, ""); err != nil {
		return 0, false, err
	}
	if err := takeClaims(ctx, tx, service, r.RunID, r.Claims); err != nil {
		return 0, false, err
	}
	definition, err := sealDefinition(tx, r.Definition)
	if err != nil {
		return 0, false, err
	}
	if err := tx.QueryRow(ctx, `update services set newest = newest + 1 where name = $1 returning newest, `+isInterim, service).
		Scan(&number, &interim); err != nil {
		return 0, false, err
	}
	_, err = tx.Exec(ctx, `
		insert into deployments (service, number, verb, definition, definition_hash, who, from_host, workflow_id, run_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		service, number, r.Verb, definition, r.DefinitionHash, r.Who, r.From, r.WorkflowID, r.RunID)
	return number, interim, err
}

// Renumber moves a deployment that has just begun past a number that a node
// has seen, and returns its new number. One that is past it already keeps its
// number. A floor that is too far ahead is Invalid.
func (s *Store) Renumber(ctx context.Context, r fleet.RenumberRequest) (number int, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		if err := lockService(ctx, tx, r.Service); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `select number from deployments where run_id = $1 and service = $2`, r.RunID, r.Service).Scan(&number)
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.NotFound, "service %s has no deployment of run %s", r.Service, r.RunID)
		}
		if err != nil || number > r.Floor {
			return err
		}
		if !fleet.Credible(r.Floor, number) {
			return fault.New(fault.Invalid, "a node asks for a number past %d, and the deployment of %s has %d", r.Floor, r.Service, number)
		}
		number = r.Floor + 1
		if _, err := tx.Exec(ctx, `update services set newest = greatest(newest, $2) where name = $1`, r.Service, number); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update deployments set number = $2 where run_id = $1`, r.RunID, number)
		return err
	}, "renumber a deployment of %s", r.Service)
	return number, err
}

// OpenRuns lists the deployments that have no outcome yet.
func (s *Store) OpenRuns(ctx context.Context) ([]fleet.OpenRun, error) {
	var open []fleet.OpenRun
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select service, workflow_id, run_id from deployments where outcome is null order by service, number`)
		if err != nil {
			return err
		}
		open, err = pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.OpenRun])
		return err
	}, "list the deployments under way")
	return open, err
}

// CloseLost closes a deployment whose run has ended without recording an outcome. One
// that is closed is not changed.
func (s *Store) CloseLost(ctx context.Context, r fleet.OpenRun) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		if err := lockService(ctx, tx, r.Service); err != nil {
			return err
		}
		return closeLost(ctx, tx, r.Service, r.RunID)
	}, "close the lost deployment of %s", r.Service)
}

// closeLost closes the service's deployments that have not ended, or that of one run. One
// that is the release has succeeded nonetheless. What they have left on the nodes is
// unknown, so the service is dirty until a deployment has repaired it.
func closeLost(ctx context.Context, tx pgx.Tx, service, run string) error {
	tag, err := tx.Exec(ctx, `
		update deployments
		set finished_at = now(), dirty = true,
		    outcome = case when released_at is null then 'lost' else 'succeeded' end,
		    error_kind = case when released_at is null then $3 else '' end,
		    error_message = case when released_at is null then $4 else '' end,
		    undone = case when released_at is null then undone else array[$5] end
		where service = $1 and outcome is null and (run_id = $2 or $2 = '')`,
		service, run, fault.Conflict, "its workflow was ended in Temporal; nothing has been put back",
		"retire the former containers: its workflow was ended in Temporal")
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if err := loseSteps(ctx, tx, service); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		with freed as (`+freedClaims+`)
		update services set dirty = true where name = $1`, service); err != nil {
		return err
	}
	return restUncommitted(ctx, tx, service, defaultRest)
}

// FinishDeployment records a deployment's outcome and whether the service is dirty
// from then on, adds the events, sets ports to rest, and frees the endpoints that the
// release does not have. A closed deployment is not changed.
func (s *Store) FinishDeployment(ctx context.Context, r fleet.FinishRequest) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		if err := lockService(ctx, tx, r.Service); err != nil {
			return err
		}
		run := r.Run
		if _, seals := currentKey(tx); seals {
			var err error
			run, err = runOf(ctx, tx, r.Service, r.Deployment, r.Run)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) { // a row that is missing is reported below
				return err
			}
		}
		failure := sealedTexts{Message: held(r.ErrorMessage), Log: texts(r.ErrorLog)}
		sealed, err := failure.seal(tx, failureRow(r.Service, run)...)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			update deployments
			set outcome = $3, error_kind = $4, error_message = $5, undone = $6, dirty = $7, nodes = $8, error_log = $10, finished_at = now(),
			    sealed = $11
			where service = $1 and number = $2 and outcome is null and (run_id = $9 or $9 = '')`,
			r.Service, r.Deployment, r.Outcome, r.ErrorKind, failure.Message, texts(r.Undone), r.Dirty, r.Nodes, r.Run, failure.Log, sealed)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			_, _, err := deploymentState(ctx, tx, r.Service, r.Deployment, r.Run)
			return err
		}
		// The workers of nodes announce themselves only when they start, and a registry
		// that was restored from an older backup may lack them.
		if _, err := tx.Exec(ctx, `
			with answered as (update nodes set seen = now() where name = any($3) and seen is null),
			     freed as (`+freedClaims+`)
			update services set dirty = $2 where name = $1`, r.Service, r.Dirty, nonNil(r.Answered)); err != nil {
			return err
		}
		if len(r.Events) > 0 {
			if err := writeEvents(ctx, tx, r.Events, r.Destinations); err != nil {
				return err
			}
		}
		if r.ReleasePorts {
			if err := restUncommitted(ctx, tx, r.Service, r.PortRest); err != nil {
				return err
			}
		}
		return dropAdopted(ctx, tx, r.Service)
	}, "close deployment %d of %s", r.Deployment, r.Service)
}

// MarkMended clears the mark of a dirty service, unless a newer deployment has
// begun since: that one's outcome counts.
func (s *Store) MarkMended(ctx context.Context, service string, deployment int, run string) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			update services set dirty = false
			where name = $1 and newest = $2
			  and exists (select from deployments where service = $1 and number = $2 and (run_id = $3 or $3 = ''))`,
			service, deployment, run); err != nil {
			return err
		}
		return dropAdopted(ctx, tx, service)
	}, "mark %s as mended", service)
}

// sealedDeployment is a row of Deployments.
type sealedDeployment struct {
	fleet.DeploymentRecord
	Sealed []byte
}

// Deployments lists the service's deployments, newest first; all of them if limit
// is 0.
func (s *Store) Deployments(ctx context.Context, service string, limit int) ([]fleet.DeploymentRecord, error) {
	var deployments []fleet.DeploymentRecord
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select service, number, verb, coalesce(outcome, case when released_at is null then '' else 'succeeded' end),
			       outcome is null and released_at is not null, error_kind, error_message, error_log, undone,
			       who, from_host, started_at, coalesce(released_at, finished_at, '0001-01-01 00:00:00Z'), workflow_id, run_id,
			       coalesce((definition->>'active')::boolean, false), definition->'sources', sealed
			from deployments where service = $1 order by number desc limit nullif($2, 0)`, service, limit)
		if err != nil {
			return err
		}
		read, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sealedDeployment])
		for _, d := range read {
			failure := sealedTexts{Message: d.ErrorMessage, Log: d.ErrorLog}
			if err := failure.open(tx, d.Sealed, failureRow(service, d.RunID)...); err != nil {
				return err
			}
			d.ErrorMessage, d.ErrorLog = failure.Message, failure.Log
			deployments = append(deployments, d.DeploymentRecord)
		}
		return err
	}, "list deployments of %s", service)
	return deployments, err
}

// Snapshot reads a former release. A deployment that never became one, and one
// that undeployed the service, are Invalid; one that does not exist is NotFound.
func (s *Store) Snapshot(ctx context.Context, service string, number int) (fleet.Snapshot, error) {
	snapshot := fleet.Snapshot{Number: number}
	err := s.read(ctx, func(tx pgx.Tx) error {
		var definition []byte
		var outcome string
		err := tx.QueryRow(ctx, `
			select definition, digests, coalesce(outcome, case when released_at is null then 'under way' else 'succeeded' end)
			from deployments where service = $1 and number = $2`,
			service, number).Scan(&definition, &snapshot.Digests, &outcome)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fault.New(fault.NotFound, "service %s has no deployment %d", service, number)
		case err != nil:
			return err
		case outcome != "succeeded":
			return fault.New(fault.Invalid, "deployment %d of %s never became a release: it is %s", number, service, outcome)
		}
		key, err := unlessLost(openDefinition(tx, service, definition, &snapshot.Definition))
		switch {
		case err != nil:
			return err
		case key != "":
			return lostRelease(service, number, key)
		}
		if len(snapshot.Definition.Components) == 0 {
			return fault.New(fault.Invalid, "deployment %d undeployed %s: there is nothing to go back to", number, service).
				WithHint("choose a release before it: mcp history %s", service)
		}
		return nil
	}, "read release %d of %s", number, service)
	return snapshot, err
}
