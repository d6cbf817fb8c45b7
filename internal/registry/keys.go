package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/servicedef"
)

// KeepKeys records the key that encrypts, and fails unless this process has every key
// that is recorded: something may be encrypted with it.
func (s *Store) KeepKeys(ctx context.Context) error {
	recorded, err := s.recordedKeys(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, k := range recorded {
		known[k.id] = true
		if err := s.keys.Proves("what control workers have recorded", k.proof); err != nil {
			return err
		}
	}
	if s.keys == nil {
		return nil
	}
	current, ok := s.keys.Current()
	if !ok || known[current.ID] {
		return nil
	}
	return s.recordKey(ctx, current)
}

// recordKey records that something may be encrypted with a key.
func (s *Store) recordKey(ctx context.Context, current keyring.Key) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into encryption_keys (id, proof) values ($1, $2) on conflict do nothing`, current.ID, current.Proof())
		return err
	}, "record encryption key %s", current.ID)
}

type recordedKey struct {
	id    string
	proof []byte
}

func (s *Store) recordedKeys(ctx context.Context) (keys []recordedKey, err error) {
	err = s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select id, proof from encryption_keys order by first_used, id`)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k recordedKey, err error) {
			err = row.Scan(&k.id, &k.proof)
			return k, err
		})
		return err
	}, "read the encryption keys that are in use")
	return keys, err
}

// Resealed is what Reseal has done.
type Resealed struct {
	// Rows is how many were newly encrypted, and Key with which key; "" if they were
	// decrypted.
	Rows int
	Key  string
	// Forgotten are the keys that no process needs any more: nothing is encrypted with
	// them, and they are not in the file.
	Forgotten []string
}

// resealBatch is how many rows one transaction reseals.
const resealBatch = 100

// Reseal encrypts with the current key every row that is plain, or encrypted with another
// one, a few at a time: deploys go on meanwhile. Plain decrypts all of them instead. One
// that cannot be decrypted ends it with the fault of its key; what was done is kept, and
// a repeated call goes on.
func (s *Store) Reseal(ctx context.Context, plain bool) (Resealed, error) {
	var result Resealed
	key, ok := keyring.Key{}, false
	if s.keys != nil {
		key, ok = s.keys.Current()
	}
	switch {
	case !ok && !plain:
		return result, nil // nothing encrypts
	case ok && !plain:
		result.Key = key.ID
		// A key that is recorded and missing matters only where a row has it.
		if err := s.recordKey(ctx, key); err != nil {
			return result, err
		}
	}
	for _, table := range []resealing{servicesTable, deploymentsTable, failuresTable, tasksTable, jobsTable} {
		for {
			n, err := s.resealSome(ctx, table, key, plain)
			if err != nil {
				return result, err
			}
			result.Rows += n
			if n < resealBatch {
				break
			}
		}
	}
	err := s.forgetKeys(ctx, &result, plain)
	return result, err
}

// forgetKeys removes the record of the keys that are not in the file, now that nothing
// here is encrypted with them; of all of them if nothing is encrypted at all.
func (s *Store) forgetKeys(ctx context.Context, result *Resealed, plain bool) error {
	var kept []string
	if s.keys != nil && !plain {
		kept = s.keys.Ring().IDs()
	}
	return s.write(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `delete from encryption_keys where id <> all($1) returning id`, nonNil(kept))
		if err != nil {
			return err
		}
		result.Forgotten, err = pgx.CollectRows(rows, pgx.RowTo[string])
		slices.Sort(result.Forgotten)
		return err
	}, "forget encryption keys")
}

// resealing is a table with something that is encrypted: which rows are not encrypted
// with a key of the prefix $1, and how one is resealed. If $2 is set, it is all
// that are encrypted.
type resealing struct {
	name   string
	choose string
	// reseal decrypts a row with one transaction and encrypts it with another.
	reseal func(from, into pgx.Tx, row pgx.CollectableRow) (update string, args []any, err error)
}

// resealSome reseals some rows of a table, and returns how many.
func (s *Store) resealSome(ctx context.Context, table resealing, key keyring.Key, plain bool) (n int, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		n = 0
		rows, err := tx.Query(ctx, table.choose+fmt.Sprintf(" limit %d for update", resealBatch), key.Prefix(), plain)
		if err != nil {
			return err
		}
		into := tx
		if plain {
			into = sealing{tx, nil}
		}
		batch := &pgx.Batch{}
		_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
			update, args, err := table.reseal(tx, into, row)
			batch.Queue(update, args...)
			n++
			return struct{}{}, err
		})
		if err != nil || n == 0 {
			return err
		}
		return tx.SendBatch(ctx, batch).Close()
	}, "encrypt %s anew", table.name)
	return n, err
}

// unsealed chooses the definitions to reseal.
const unsealed = ` definition is not null and not definition ? 'lost' and case when $2::boolean then definition ? 'sealed'
	else substr(decode(coalesce(definition->>'sealed', ''), 'base64'), 1, length($1::bytea)) <> $1::bytea end`

// outdated chooses the rows with texts to reseal.
func outdated(texts ...string) string {
	return ` case when $2::boolean then sealed is not null else coalesce(substr(sealed, 1, length($1::bytea)) <> $1::bytea, ` + strings.Join(texts, " or ") + `) end`
}

var servicesTable = resealing{
	name:   "the definitions of services",
	choose: `select name, 0, definition from services where` + unsealed,
	reseal: resealDefinition(`update services set definition = $3 where name = $1 and $2 = 0`),
}

var deploymentsTable = resealing{
	name:   "the definitions of deployments",
	choose: `select service, number, definition from deployments where` + unsealed,
	reseal: resealDefinition(`update deployments set definition = $3 where service = $1 and number = $2`),
}

func resealDefinition(update string) func(from, into pgx.Tx, row pgx.CollectableRow) (string, []any, error) {
	return func(from, into pgx.Tx, row pgx.CollectableRow) (string, []any, error) {
		var service string
		var number int
		var text []byte
		if err := row.Scan(&service, &number, &text); err != nil {
			return "", nil, err
		}
		var definition servicedef.Service
		if err := openDefinition(from, service, text, &definition); err != nil {
			return "", nil, err
		}
		definition.Name = service
		stored, err := sealDefinition(into, definition)
		return update, []any{service, number, stored}, err
	}
}

var failuresTable = resealing{
	name: "the failures of deployments",
	choose: `select service, run_id, error_message, error_log, '{}'::text[], sealed from deployments where` +
		outdated("error_message <> ''", "error_log <> '{}'"),
	reseal: resealTexts(failureRow, `update deployments set error_message = $3, error_log = $4, sealed = $6
		where service = $1 and run_id = $2 and $5::text[] is not null`),
}

var tasksTable = resealing{
	name:   "the output of steps",
	choose: `select service, id, detail, log, '{}'::text[], sealed from tasks where` + outdated("detail <> ''", "log <> '{}'"),
	reseal: resealTexts(taskRow, `update tasks set detail = $3, log = $4, sealed = $6 where service = $1 and id = $2 and $5::text[] is not null`),
}

var jobsTable = resealing{
	name: "the output of jobs",
	choose: `select service, run_id, detail, log, command, sealed from job_runs where` +
		outdated("detail <> ''", "log <> '{}'", "command <> '{}'"),
	reseal: resealTexts(jobRow, `update job_runs set detail = $3, log = $4, command = $5, sealed = $6 where service = $1 and run_id = $2`),
}

func resealTexts(identify func(string, string) []string, update string) func(from, into pgx.Tx, row pgx.CollectableRow) (string, []any, error) {
	return func(from, into pgx.Tx, row pgx.CollectableRow) (string, []any, error) {
		var service, id string
		var t sealedTexts
		var sealed []byte
		if err := row.Scan(&service, &id, &t.Message, &t.Log, &t.Command, &sealed); err != nil {
			return "", nil, err
		}
		if err := t.open(from, sealed, identify(service, id)...); err != nil {
			return "", nil, err
		}
		sealed, err := t.seal(into, identify(service, id)...)
		return update, []any{service, id, t.Message, t.Log, t.Command, sealed}, err
	}
}
