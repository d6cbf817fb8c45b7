package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/seal"
)

// rotationStore is what a rotation needs of the registry.
type rotationStore interface {
	GatewayKeys(ctx context.Context) (map[string]registry.GatewayKey, error)
	BeginRotation(ctx context.Context, next registry.GatewayKey, audit []fleet.AuditEntry) error
	WaitingForRotation(ctx context.Context, next string) ([]identity.Record, error)
	FinishRotation(ctx context.Context, next, fingerprint string, force bool, audit []fleet.AuditEntry) ([]identity.Record, error)
}

// rotate returns the function that replaces the authority, whose successor is sealed to a
// key. Changed is called after each step that changes something.
func rotate(store rotationStore, to seal.Key, changed func(context.Context)) door.Rotate {
	return func(ctx context.Context, step identity.RotationStep, audit []fleet.AuditEntry) (identity.Rotation, error) {
		if step.Begin {
			next, err := makeAuthority(to)
			if err != nil {
				return identity.Rotation{}, err
			}
			if err := store.BeginRotation(ctx, next, audit); err != nil {
				return identity.Rotation{}, err
			}
			changed(ctx)
		}
		stands, next, err := rotationOf(ctx, store)
		if err != nil || stands.Next == "" && !step.Finish {
			return stands, err
		}
		if !step.Finish {
			stands.Waiting, err = store.WaitingForRotation(ctx, stands.Next)
			return stands, err
		}
		if stands.Next == "" {
			return stands, fault.New(fault.Conflict, "no authority takes over").WithHint("begin with: mcp identity rotate")
		}
		stands.Waiting, err = store.FinishRotation(ctx, next, stands.Next, step.Force, audit)
		if err != nil || len(stands.Waiting) > 0 && !step.Force {
			return stands, err
		}
		changed(ctx)
		stands.Authority, stands.Next, stands.Finished = stands.Next, "", true
		return stands, nil
	}
}

// rotationOf returns how the replacement of the authority stands, and the next one in PEM.
func rotationOf(ctx context.Context, store rotationStore) (stands identity.Rotation, next string, err error) {
	shared, err := store.GatewayKeys(ctx)
	if err != nil {
		return stands, "", err
	}
	roots, err := identity.ParseRoots([]byte(shared[authorityKey].Public))
	if err != nil {
		return stands, "", noAuthority()
	}
	stands.Authority = identity.Fingerprint(roots[0])
	if next = shared[nextKey].Public; next == "" {
		return stands, "", nil
	}
	if roots, err = identity.ParseRoots([]byte(next)); err != nil {
		return stands, "", fault.Wrap(fault.Invalid, err, "the next authority in the registry is damaged")
	}
	stands.Next, stands.Made = identity.Fingerprint(roots[0]), roots[0].NotBefore.Add(identity.Leeway)
	return stands, next, nil
}

func noAuthority() error {
	return fault.New(fault.NotFound, "the registry has no authority of the gateways").
		WithHint("start one first: mcp gateway; one that runs puts back within %s what the registry has lost: try again then", keysInterval)
}

// keysInterval is how often the keys of the gateways are read: another one may have added
// an authority, or dropped one.
const keysInterval = 10 * time.Second

// following takes over the authorities that this or another gateway has changed.
type following struct {
	store  keyStore
	own    *seal.Identity
	copied copies
	door   *door.Door
	log    *slog.Logger
	// known are the keys that were read last.
	known map[string]registry.GatewayKey
	turn  chan struct{} // has an element while one reads
}

// run reads the keys until ctx ends.
func (f *following) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.read(ctx)
		}
	}
}

// read reads the keys once. While Postgres is away, the last ones count.
func (f *following) read(ctx context.Context) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return
	}
	limited, cancel := context.WithTimeout(ctx, registryTime)
	defer cancel()
	sealed, err := f.store.GatewayKeys(limited)
	if err == nil && len(sealed) == 0 {
		f.putBack(limited)
		return
	}
	if err != nil || maps.EqualFunc(sealed, f.known, func(a, b registry.GatewayKey) bool { return bytes.Equal(a.Sealed, b.Sealed) }) {
		return // the list of revoked identities says that Postgres is away
	}
	k, err := openKeys(sealed, f.own)
	if err != nil {
		f.log.Error("the keys of the gateways have changed, and cannot be read: the last ones count", "error", err)
		return
	}
	f.known = sealed
	f.door.SetAuthorities(k.authorities)
	f.log.Info("the authorities have changed", "authority", k.authorities.Current.Fingerprint(), "accepted", k.authorities.Roots().Fingerprints())
	if err := f.copied.keepKeys(sealed); err != nil {
		f.log.Warn("the copy of the keys is not written: this gateway would start with the last ones while Postgres is away", "error", err)
	}
}

// putBack adds the keys to a registry that was emptied: a gateway that starts would make
// others, and refuse every identity of the fleet.
func (f *following) putBack(ctx context.Context) {
	if err := f.store.AddGatewayKeys(ctx, f.known); err != nil {
		f.log.Error("the registry has lost the keys of the gateways, and does not take them back", "error", err)
		return
	}
	f.log.Warn("the registry had lost the keys of the gateways: it has them again")
}
