package gateway

import (
	"context"
	"os"
	"time"

	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/seal"
)

// Direct does what an operator asks for in the registry itself, without a gateway: for the
// first operator, and for the control plane's own identities. KeyFile is that of the
// gateways, to which the next authority is sealed.
func Direct(ctx context.Context, postgresURL string, insecure bool, doors []string, keyFile string, actor fleet.Actor, request enrol.Request) (enrol.Answer, error) {
	store, err := registry.Open(ctx, postgresURL, registry.Insecure(insecure))
	if err != nil {
		return enrol.Answer{}, err
	}
	defer store.Close()
	shared, err := store.GatewayKeys(ctx)
	if err != nil {
		return enrol.Answer{}, err
	}
	roots, err := identity.ParseRoots([]byte(shared[authorityKey].Public))
	if err != nil {
		return enrol.Answer{}, noAuthority()
	}
	admin := door.Admin{Store: store, Fingerprint: func() string { return identity.Fingerprint(roots[0]) }, Doors: doors, Now: time.Now}
	if request.Rotate != nil {
		if _, err := os.Lstat(keyFile); err != nil { // Load would make one
			return enrol.Answer{}, fault.Wrap(fault.NotFound, err, "reading the key of the gateways").
				WithHint("use --direct on the host of a gateway, as its user, or ask a gateway: without --direct")
		}
		own, err := seal.Load(keyFile)
		if err != nil {
			return enrol.Answer{}, err
		}
		if _, err := openKeys(shared, own); err != nil { // another file would lock the gateways out
			return enrol.Answer{}, err
		}
		admin.Rotate = rotate(store, own.Key(), func(context.Context) {})
	}
	return admin.Do(ctx, actor, request)
}
