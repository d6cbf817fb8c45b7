package gateway

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
	"github.com/metacircular/mcp/internal/registry"
)

// Direct does what an operator asks for in the registry itself, without a gateway: for the
// first operator, and for the control plane's own identities.
func Direct(ctx context.Context, postgresURL string, insecure bool, doors []string, actor fleet.Actor, request enrol.Request) (enrol.Answer, error) {
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
		return enrol.Answer{}, fault.New(fault.NotFound, "the gateways have no authority yet").WithHint("start one first: mcp gateway")
	}
	admin := door.Admin{Store: store, Fingerprint: identity.Fingerprint(roots[0]), Doors: doors, Now: time.Now}
	return admin.Do(ctx, actor, request)
}
