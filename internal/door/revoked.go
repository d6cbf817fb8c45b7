package door

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/identity"
)

// refreshInterval is how often the list of revoked identities is read: a revocation takes
// effect within a minute, with room for a slow Postgres.
const refreshInterval = 10 * time.Second

// revoked is the list of the identities that are refused.
type revoked struct {
	mu   sync.RWMutex
	ids  map[string]bool
	read time.Time
	err  error
}

func newRevoked(ids []string) *revoked {
	r := &revoked{ids: map[string]bool{}}
	r.add(ids, time.Time{})
	return r
}

func (r *revoked) has(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ids[id]
}

// add adds what was read to the list, and returns the whole list if an identity is new in
// it, otherwise nil. An identity that was revoked once stays revoked: a registry that is
// restored from an older dump lacks that.
func (r *revoked) add(ids []string, at time.Time) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := len(r.ids)
	for _, id := range ids {
		r.ids[id] = true
	}
	r.read, r.err = at, nil
	if len(r.ids) == known {
		return nil
	}
	return slices.Sorted(maps.Keys(r.ids))
}

func (r *revoked) all() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.ids))
}

func (r *revoked) failed(err error) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = r.err == nil
	r.err = err
	return first
}

// state returns when the list was read, and why it could not be read since.
func (r *revoked) state() (read time.Time, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.read, r.err
}

// refresh reads the list until ctx ends. While Postgres is away, the last list applies.
func (d *Door) refresh(ctx context.Context) {
	tick := time.NewTicker(d.o.Refresh)
	defer tick.Stop()
	for {
		d.Refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Refresh reads the list of revoked identities, and closes their connections, and those
// whose certificates have ended. It adds the other identities to the registry if that has
// lost them: otherwise none of them could be revoked, or renewed.
func (d *Door) Refresh(ctx context.Context) {
	ids, err := d.o.Store.RevokedIdentities(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		if all := d.revoked.add(ids, d.o.Now()); all != nil && d.o.Remember != nil {
			d.o.Remember(all)
		}
	case d.revoked.failed(err):
		d.log.Warn("the list of revoked identities cannot be read: the last one counts", "error", err)
	}
	if n := d.open.close(d.revoked.has, d.o.Now()); n > 0 {
		d.log.Info("connections are closed: their identities are revoked, or their certificates have ended", "connections", n)
	}
	if seen := d.open.seen(); err == nil && len(seen) > 0 {
		if err := d.keep(ctx, seen); err != nil && ctx.Err() == nil {
			d.log.Warn("whether the registry has all identities is not known", "error", err)
		}
	}
}

// keep adds to the registry the identities that it has lost, except revoked ones.
func (d *Door) keep(ctx context.Context, seen []identity.Seen) error {
	seen = slices.DeleteFunc(seen, func(one identity.Seen) bool { return d.revoked.has(one.Identity.ID) })
	added, err := d.o.Store.KeepIdentities(ctx, seen, d.revoked.all())
	if added > 0 {
		d.log.Warn("the registry had lost identities: it has them again", "identities", added)
	}
	return err
}
