package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Limits of what edges store. A fleet with thousands of hostnames stays below them.
const (
	maxStored = 50_000
	maxLocks  = 5_000
	// storagePage is how many entries travel together.
	storagePage = 1000
	// secretSize is the size of an edge's secret, in bytes.
	secretSize = 32
)

// newSecret returns the secret of an edge.
func newSecret() []byte {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// UseStorage carries out the request of an edge to the storage that all of them share.
// The error is Unauthorized unless the request proves that an admitted edge has made it.
// Run is that of the workflow: another one cannot repeat a request to write.
func (s *Store) UseStorage(ctx context.Context, r fleet.StorageRequest, run string) (answer fleet.StorageAnswer, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		answer = fleet.StorageAnswer{}
		// An edge that is removed meanwhile writes nothing after that.
		var secret []byte
		err := tx.QueryRow(ctx, `select secret from edges where name = $1 and admitted_at is not null for key share`, r.Edge).Scan(&secret)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		o, err := proven(r, secret, time.Now())
		if err != nil {
			return err
		}
		if o.Writes() {
			if err := firstTime(ctx, tx, r.Proof, run); err != nil {
				return err
			}
		}
		answer, err = useStorage(ctx, tx, o)
		return err
	}, "use the storage of edges")
	return answer, err
}

// firstTime refuses a request that another run has carried out.
func firstTime(ctx context.Context, tx pgx.Tx, proof []byte, run string) error {
	if _, err := tx.Exec(ctx, `
		delete from edge_requests where proof in (
		    select proof from edge_requests where expiry < now() order by expiry limit 100 for update skip locked)`); err != nil {
		return err
	}
	var by string
	err := tx.QueryRow(ctx, `
		insert into edge_requests as known (proof, run, expiry) values ($1, $2, now() + $3)
		on conflict (proof) do update set run = known.run returning run`, proof, run, 3*proofTime).Scan(&by)
	if err == nil && by != run {
		return fault.New(fault.Unauthorized, "the request to the storage of edges is a copy of an earlier one")
	}
	return err
}

func useStorage(ctx context.Context, tx pgx.Tx, o fleet.StorageOperation) (answer fleet.StorageAnswer, err error) {
	switch o.Verb {
	case fleet.StorageLoad:
		err = tx.QueryRow(ctx, `select value from edge_storage where key = $1`, o.Key).Scan(&answer.Value)
		if errors.Is(err, pgx.ErrNoRows) {
			answer.Missing, err = true, nil
		}
	case fleet.StorageStore:
		err = store(ctx, tx, o)
	case fleet.StorageReplace:
		tag, err := tx.Exec(ctx, `update edge_storage set value = $2, modified = now() where key = $1 and sha256(value) = $3`,
			o.Key, append([]byte{}, o.Value...), append([]byte{}, o.Former...))
		answer.Done = tag.RowsAffected() > 0
		return answer, err
	case fleet.StorageDelete:
		_, err = tx.Exec(ctx, `delete from edge_storage where key = $1 or starts_with(key, $1 || '/')`, o.Key)
	case fleet.StorageList:
		answer.Entries, err = entries(ctx, tx, o)
		if len(answer.Entries) > storagePage {
			answer.Entries, answer.More = answer.Entries[:storagePage], true
		}
	case fleet.StorageLock:
		answer.Done, err = takeLock(ctx, tx, o)
	case fleet.StorageUnlock:
		_, err = tx.Exec(ctx, `delete from edge_locks where name = $1 and holder = $2`, o.Key, holder(o))
	}
	return answer, err
}

func store(ctx context.Context, tx pgx.Tx, o fleet.StorageOperation) error {
	tag, err := tx.Exec(ctx, `
		insert into edge_storage (key, value, modified)
		select $1, $2, now()
		where exists (select from edge_storage where key = $1) or (select count(*) from edge_storage) < $3
		on conflict (key) do update set value = excluded.value, modified = excluded.modified`,
		o.Key, append([]byte{}, o.Value...), maxStored)
	if err == nil && tag.RowsAffected() == 0 {
		err = fault.New(fault.Conflict, "the storage of edges is full: it has %d values", maxStored).
			WithHint("look at the table edge_storage; edges remove certificates that have expired long ago")
	}
	return err
}

func entries(ctx context.Context, tx pgx.Tx, o fleet.StorageOperation) ([]fleet.StorageEntry, error) {
	rows, err := tx.Query(ctx, `
		select key, size, modified from edge_storage
		where ($1 = '' or key = $1 or starts_with(key, $1 || '/')) and key > $2
		order by key limit $3`, o.Key, o.After, storagePage+1)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.StorageEntry])
}

// takeLock takes or prolongs a lock, and reports whether the holder has it.
func takeLock(ctx context.Context, tx pgx.Tx, o fleet.StorageOperation) (bool, error) {
	if _, err := tx.Exec(ctx, `
		delete from edge_locks where name in (
		    select name from edge_locks where expiry < now() and name <> $1 order by name limit 100 for update skip locked)`, o.Key); err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `
		insert into edge_locks as known (name, holder, expiry)
		select $1, $2, clock_timestamp() + $3 where (select count(*) from edge_locks) < $4
		on conflict (name) do update set holder = excluded.holder, expiry = excluded.expiry
		where known.holder = excluded.holder or known.expiry <= clock_timestamp()`, o.Key, holder(o), o.Lease, maxLocks)
	return tag.RowsAffected() > 0, err
}

// holder is that of a lock: it names the edge, so that no other one frees it.
func holder(o fleet.StorageOperation) string { return o.Edge + "/" + o.Holder }
