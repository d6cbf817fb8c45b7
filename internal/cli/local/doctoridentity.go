package local

import (
	"context"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// checkIdentity checks the certificate of this machine, and compares its clock with the
// gateway's; nothing where Temporal is reached without one.
func checkIdentity(ctx context.Context, cfg *config.Config) []finding {
	if !cfg.Door.Enabled() {
		return nil
	}
	const check, clock = "identity", "clock"
	held, err := cfg.Door.Directory().Read()
	if err != nil {
		return []finding{fail(check, fault.Of(err))}
	}
	now, until := time.Now(), held.Certificate.NotAfter
	var found []finding
	switch late := now.Sub(held.Due()); {
	case now.After(until):
		found = append(found, fail(check, fault.New(fault.Unauthorized, "the certificate of %s ended at %s", held.Identity, until.Format(time.DateTime)).
			WithHint("join again with a new token: mcp join TOKEN")))
	case late > time.Hour:
		found = append(found, warn(check, "see the log of what uses it", "the certificate of %s ends at %s, and is not renewed", held.Identity, until.Format(time.DateTime)))
	default:
		found = append(found, ok(check, "%s, until %s", held.Identity, until.Format(time.DateTime)))
	}
	ours, theirs, err := enrol.Clock(ctx, cfg.Door.Addresses, cfg.Door.Directory())
	if err != nil {
		if refusal := enrol.Refusal(ctx, cfg.Door.Addresses, cfg.Door.Directory()); refusal != nil {
			err = refusal
		}
		return append(found, fail("gateway", fault.Of(err)))
	}
	found = append(found, ok("gateway", "%s answers", strings.Join(cfg.Door.Addresses, " ")))
	if wrong := identity.CheckClock(ours, theirs); wrong != nil {
		return append(found, fail(clock, fault.Of(wrong)))
	}
	if refusal := enrol.Refusal(ctx, cfg.Door.Addresses, cfg.Door.Directory()); refusal != nil {
		return append(found, fail(check, fault.Of(refusal)))
	}
	return append(found, ok(clock, "it agrees with the gateway's"))
}
