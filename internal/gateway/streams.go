package gateway

import (
	"context"
	"log/slog"
	"net"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/stream"
)

// streams serves the byte streams between operators and nodes.
type streams struct{ hub *stream.Hub }

func newStreams(store *registry.Store, log *slog.Logger) *streams {
	return &streams{&stream.Hub{
		Allow: allow,
		Audit: func(ctx context.Context, entry fleet.AuditEntry) error {
			return store.RecordAudit(ctx, []fleet.AuditEntry{entry})
		},
		Logger: log,
	}}
}

// Serve serves the session of a node, or of a caller that may open streams.
func (s *streams) Serve(ctx context.Context, conn net.Conn, who identity.Identity) error {
	peer := stream.Peer{Who: who.String()}
	switch {
	case who.Role == identity.Node:
		peer.Node = who.Name
	case !who.Role.Person():
		return fault.New(fault.Forbidden, "%s has no use for streams", who)
	}
	return s.hub.Serve(identity.NewContext(ctx, who), conn, peer)
}

// allow returns why a caller may not have a stream: it must be an operator, or use one of
// its services, with the grant that the verb needs.
func allow(ctx context.Context, h stream.Header) error {
	who, ok := identity.FromContext(ctx)
	switch {
	case !ok || !who.Role.Person():
		return fault.New(fault.Forbidden, "this caller may open no streams")
	case !who.MayUse(h.Service):
		return fault.New(fault.Forbidden, "%s may not use the service %s", who, h.Service).
			WithHint("an operator creates an identity that may: mcp identity create %s %s --service %s", who.Role, who.Name, h.Service)
	}
	needed := map[stream.Verb]identity.Grant{
		stream.Exec: identity.Exec, stream.CopyFrom: identity.Copy, stream.CopyTo: identity.Copy, stream.Forward: identity.Forward,
	}[h.Verb]
	switch {
	case h.Verb == stream.Logs:
		return nil
	case needed == "":
		return fault.New(fault.Forbidden, "streams for %q are not known here", h.Verb)
	case !who.Has(needed):
		return fault.New(fault.Forbidden, "%s has no grant %s", who, needed).
			WithHint("an operator creates an identity that has it: mcp identity create %s %s --service %s --grant %s", who.Role, who.Name, h.Service, needed)
	}
	return nil
}
