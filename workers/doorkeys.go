package workers

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metacircular/mcp/internal/door/who"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/workflows"
)

// doorKeyInterval is how often the key of the gateways is read while there is none, and
// doorKeyTime bounds one attempt.
const doorKeyInterval, doorKeyTime = 5 * time.Second, 5 * time.Second

// doorKeys is the public key with which gateways sign who has asked for a workflow. It is
// in the registry from the start of the first gateway on.
type doorKeys struct{ key atomic.Pointer[who.Key] }

// signed verifies what a gateway says; nil for a process that runs no workflows.
func (d *doorKeys) signed(control *Control) workflows.SignedByDoor {
	if control == nil {
		return nil
	}
	return func(id, workflow string, actor, signature []byte) bool {
		keys := control.Doors
		if key := d.key.Load(); key != nil {
			keys = append(slices.Clone(keys), *key)
		}
		return slices.ContainsFunc(keys, func(k who.Key) bool { return k.Verify(id, workflow, actor, signature) })
	}
}

// keep reads the key now and, until there is one, in the background.
func (d *doorKeys) keep(store *registry.Store, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	if d.read(ctx, store, log) {
		return cancel
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(doorKeyInterval):
			}
			if d.read(ctx, store, log) {
				return
			}
		}
	})
	return func() {
		cancel()
		reading.Wait()
	}
}

// read reports whether there is a key.
func (d *doorKeys) read(ctx context.Context, store *registry.Store, log *slog.Logger) bool {
	ctx, cancel := context.WithTimeout(ctx, doorKeyTime)
	defer cancel()
	keys, err := store.GatewayKeys(ctx)
	if err != nil || keys[registry.GatewaySecret].Public == "" {
		return false
	}
	key, err := who.ParseKey(keys[registry.GatewaySecret].Public)
	if err != nil {
		log.Warn("the key of the gateways cannot be used: the audit has what clients claim", "error", err)
		return true
	}
	d.key.Store(&key)
	return true
}
