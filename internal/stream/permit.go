package stream

import (
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

// grants are the rights that verbs need beyond the services of a caller.
var grants = map[Verb]identity.Grant{
	Exec: identity.Exec, CopyFrom: identity.Copy, CopyTo: identity.Copy, Forward: identity.Forward,
}

// Permit returns why an identity may not have a stream, or nil. Operators may have every
// stream; deployers and readers read the output of their services, and need a grant for
// anything more.
func Permit(who identity.Identity, h Header) error {
	grant, needs := grants[h.Verb]
	switch {
	case who.Role == identity.Operator:
		return nil
	case !who.Role.Limited():
		return fault.New(fault.Unauthorized, "%s may have no streams", who)
	case !who.MayUse(h.Service):
		return fault.New(fault.Unauthorized, "%s may not use the service %s", who, h.Service).
			WithHint("an operator names its services when it creates the identity: mcp identity create")
	case h.Unlabelled:
		return fault.New(fault.Unauthorized, "%s may not reach a container that mcp has not started", who).
			WithHint("deploy the service once, or ask an operator")
	case needs && !who.Has(grant):
		return fault.New(fault.Unauthorized, "%s may not %s: it lacks the grant %s", who, h.Verb, grant).
			WithHint("an operator grants that when it creates the identity: mcp identity create")
	}
	return nil
}
