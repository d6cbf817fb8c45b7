package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// BeginDeployment opens a deployment and gives it its number; each run of a
// workflow gets one. An older deployment of the service that is still under
// way has lost its workflow, which was the lock: it is closed as lost, and
// the ports that only it held are set to rest.
func (s *Store) BeginDeployment(ctx context.Context, r fleet.BeginRequest) (fleet.BeginResult, error) {
	var result fleet.BeginResult
	err := s.write(ctx, func(tx pgx.Tx) error {
		number, err := openDeployment(ctx, tx, r)
		if err != nil {
			return err
		}
		release, err := loadRelease(ctx, tx, r.Definition.Name)
		if err != nil {
			return err
		}
		result = fleet.BeginResult{Number: number, Release: release}
		return nil
	}, "open a deployment of %s", r.Definition.Name)
	return result, err
}

// openDeployment returns the number of the run's deployment, a new one if the run
// has none.
func openDeployment(ctx context.Context, tx pgx.Tx, r fleet.BeginRequest) (number int, err error) {
	service := r.Definition.Name
	if _, err := tx.Exec(ctx, `insert into services (name) values ($1) on conflict do nothing`, service); err != nil {
		return 0, err
	}
	if err := lockService(ctx, tx, service); err != nil {
		return 0, err
	}
	if r.Given != nil {
		if _, err := recordDefinition(ctx, tx, *r.Given); err != nil {
			return 0, err
		}
	}
	err = tx.QueryRow(ctx, `select number from deployments where run_id = $1 and service = $2`, r.RunID, service).Scan(&number)
	if !errors.Is(err, pgx.ErrNoRows) {
		return number, err
	}
	if err := ensureNodes(ctx, tx, r.Definition); err != nil {
		return 0, err
	}
	if err := closeLost(ctx, tx, service); err != nil {
		return 0, err
	}
	definition, err := json.Marshal(r.Definition)
	if err != nil {
		return 0, fmt.Errorf("encode the definition: %w", err)
	}
	if err := tx.QueryRow(ctx, `update services set newest = newest + 1 where name = $1 returning newest`, service).Scan(&number); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		insert into deployments (service, number, verb, definition, definition_hash, who, from_host, workflow_id, run_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		service, number, r.Verb, definition, r.DefinitionHash, r.Who, r.From, r.WorkflowID, r.RunID)
	return number, err
}

// Renumber moves a deployment that has just begun past a number that a node
// has seen, and returns its new number. One that is past it already keeps its
// number.
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
		number = r.Floor + 1
		if _, err := tx.Exec(ctx, `update services set newest = greatest(newest, $2) where name = $1`, r.Service, number); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update deployments set number = $2 where run_id = $1`, r.RunID, number)
		return err
	}, "renumber a deployment of %s", r.Service)
	return number, err
}

// closeLost closes the service's deployments that are still under way. What they have
// left on the nodes is unknown, so the service is dirty until a deployment has
// repaired it.
func closeLost(ctx context.Context, tx pgx.Tx, service string) error {
	tag, err := tx.Exec(ctx, `
		update deployments set outcome = 'lost', finished_at = now()
		where service = $1 and outcome is null`, service)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `update services set dirty = true where name = $1`, service); err != nil {
		return err
	}
	return restUncommitted(ctx, tx, service, defaultRest)
}

// FinishDeployment records a deployment's outcome and whether the service is dirty
// from then on, and sets ports to rest. A closed deployment is not changed.
func (s *Store) FinishDeployment(ctx context.Context, r fleet.FinishRequest) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		if err := lockService(ctx, tx, r.Service); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			update deployments
			set outcome = $3, error_kind = $4, error_message = $5, undone = $6, dirty = $7, error_log = $8, finished_at = now()
			where service = $1 and number = $2 and outcome is null`,
			r.Service, r.Deployment, r.Outcome, r.ErrorKind, storable([]string{r.ErrorMessage})[0], storable(r.Undone), r.Dirty, storable(r.ErrorLog))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			_, _, err := deploymentState(ctx, tx, r.Service, r.Deployment)
			return err
		}
		if _, err := tx.Exec(ctx, `update services set dirty = $2 where name = $1`, r.Service, r.Dirty); err != nil {
			return err
		}
		if r.ReleasePorts {
			if err := restUncommitted(ctx, tx, r.Service, r.PortRest); err != nil {
				return err
			}
		}
		return dropAdopted(ctx, tx, r.Service)
	}, "close deployment %d of %s", r.Deployment, r.Service)
}

// storable is lines as Postgres stores text: without NUL, in UTF-8.
func storable(lines []string) []string {
	list := make([]string, 0, len(lines))
	for _, line := range lines {
		list = append(list, strings.ToValidUTF8(strings.ReplaceAll(line, "\x00", "\uFFFD"), "\uFFFD"))
	}
	return list
}

// MarkMended clears the mark of a dirty service, unless a newer deployment has
// begun since: that one's outcome counts.
func (s *Store) MarkMended(ctx context.Context, service string, deployment int) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update services set dirty = false where name = $1 and newest = $2`, service, deployment); err != nil {
			return err
		}
		return dropAdopted(ctx, tx, service)
	}, "mark %s as mended", service)
}

// Deployments lists the service's deployments, newest first; all of them if limit
// is 0.
func (s *Store) Deployments(ctx context.Context, service string, limit int) ([]fleet.DeploymentRecord, error) {
	var deployments []fleet.DeploymentRecord
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select service, number, verb, coalesce(outcome, ''), error_kind, error_message, error_log, undone,
			       who, from_host, started_at, coalesce(finished_at, '0001-01-01 00:00:00Z'), workflow_id, run_id,
			       coalesce((definition->>'active')::boolean, false)
			from deployments where service = $1 order by number desc limit nullif($2, 0)`, service, limit)
		if err != nil {
			return err
		}
		deployments, err = pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.DeploymentRecord])
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
			select definition, digests, coalesce(outcome, 'under way')
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
		if err := json.Unmarshal(definition, &snapshot.Definition); err != nil {
			return fmt.Errorf("decode the definition of %s: %w", service, err)
		}
		if len(snapshot.Definition.Components) == 0 {
			return fault.New(fault.Invalid, "deployment %d undeployed %s: there is nothing to go back to", number, service).
				WithHint("choose a release before it: mcp history %s", service)
		}
		return nil
	}, "read release %d of %s", number, service)
	return snapshot, err
}
