package registry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/keyring"
)

// The conditions that a row has something that is encrypted with a key of that prefix.
const (
	definitionHas = `definition ? 'sealed' and substr(decode(definition->>'sealed', 'base64'), 1, length(@prefix::bytea)) = @prefix::bytea`
	textsHave     = `sealed is not null and substr(sealed, 1, length(@prefix::bytea)) = @prefix::bytea`
)

// EncryptedWith returns what is encrypted with a key, by service, and whether the key is
// recorded as one that control workers need. It decrypts nothing.
func (s *Store) EncryptedWith(ctx context.Context, id string) (lost []fleet.LostRecords, recorded bool, err error) {
	err = s.read(ctx, func(tx pgx.Tx) error {
		lost = nil
		if err := tx.QueryRow(ctx, `select exists (select from encryption_keys where id = $1)`, id).Scan(&recorded); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select name, 'given', 0 from services where `+definitionHas+`
			union all
			select d.service, case when d.number = s.release then 'release' else 'deployment' end, d.number
			from (select service, number from deployments where `+definitionHas+`) d join services s on s.name = d.service
			union all
			select service, 'failure', number from deployments where `+textsHave+`
			union all
			select service, 'step', 0 from tasks where `+textsHave+`
			union all
			select service, 'run', number from job_runs where `+textsHave+`
			order by 1, 2, 3`, pgx.NamedArgs{"prefix": keyring.Key{ID: id}.Prefix()})
		if err != nil {
			return err
		}
		var service, what string
		var number int
		_, err = pgx.ForEachRow(rows, []any{&service, &what, &number}, func() error {
			if len(lost) == 0 || lost[len(lost)-1].Service != service {
				lost = append(lost, fleet.LostRecords{Service: service})
			}
			addLost(&lost[len(lost)-1], what, number)
			return nil
		})
		return err
	}, "look for what is encrypted with key %s", id)
	return lost, recorded, err
}

// KeyIDs returns the keys that are recorded as those that control workers need.
func (s *Store) KeyIDs(ctx context.Context) ([]string, error) {
	recorded, err := s.recordedKeys(ctx)
	ids := make([]string, 0, len(recorded))
	for _, k := range recorded {
		ids = append(ids, k.id)
	}
	return ids, err
}

func addLost(r *fleet.LostRecords, what string, number int) {
	switch what {
	case "given":
		r.Given = true
	case "release":
		r.Release = number
	case "deployment":
		r.Deployments = append(r.Deployments, number)
	case "failure":
		r.Failures++
	case "step":
		r.Steps++
	case "run":
		r.Runs++
	}
}

// forgetting are the statements that remove what is encrypted with a key from some rows.
// What is in the clear in the definition of a deployment stays, with the name of the key.
var forgetting = []string{
	`update services set definition = null, definition_hash = null where name in (
	     select name from services where ` + definitionHas + ` limit @most)`,
	`update deployments set definition = (definition - 'sealed') || jsonb_build_object('lost', @key::text) where (service, number) in (
	     select service, number from deployments where ` + definitionHas + ` limit @most)`,
	`update deployments set sealed = null, error_message = case when error_kind <> '' then @message else error_message end where (service, number) in (
	     select service, number from deployments where ` + textsHave + ` limit @most)`,
	`update tasks set sealed = null, detail = @message where (service, id) in (
	     select service, id from tasks where ` + textsHave + ` limit @most)`,
	`update job_runs set sealed = null, detail = @message where (service, run_id) in (
	     select service, run_id from job_runs where ` + textsHave + ` limit @most)`,
}

// ForgetKey removes what is encrypted with a key, a few rows at a time, and at last the
// record of the key. A repeated call goes on.
func (s *Store) ForgetKey(ctx context.Context, id string) error {
	args := pgx.NamedArgs{
		"prefix": keyring.Key{ID: id}.Prefix(), "key": id, "message": "lost with encryption key " + id, "most": resealBatch,
	}
	for _, statement := range forgetting {
		for {
			changed := int64(0)
			err := s.write(ctx, func(tx pgx.Tx) error {
				tag, err := tx.Exec(ctx, statement, args)
				changed = tag.RowsAffected()
				return err
			}, "forget encryption key %s", id)
			if err != nil {
				return err
			}
			if changed < resealBatch {
				break
			}
		}
	}
	return s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from encryption_keys where id = $1`, id)
		return err
	}, "forget encryption key %s", id)
}
