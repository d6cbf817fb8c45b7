package onnode

import (
	"context"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
)

// checkSignature refuses an image that has no signature although one is required. A
// reconcile puts back what ran: it is refused nothing that is still here.
func (a *Node) checkSignature(ctx context.Context, r *attempt.Reporter, c activities.ComponentSpec, present bool) error {
	if a.Signatures == nil || c.Again && present {
		return nil
	}
	r.Set("check the signature", c.Definition.Image)
	return a.Signatures.Check(ctx, c.Image, present)
}
