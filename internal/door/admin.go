package door

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// Store is what a gateway needs of the registry. Each method is one transaction.
type Store interface {
	// RevokedIdentities returns the ids of the identities whose certificates may still live.
	RevokedIdentities(ctx context.Context) ([]string, error)
	// UseToken uses up a token for the holder of a key, and returns its identity. The same
	// key may repeat it. Where the hash is of no token, or of one that is used or has ended,
	// the error is Unauthorized.
	UseToken(ctx context.Context, use identity.TokenUse, audit func(identity.Identity) []fleet.AuditEntry) (identity.Enrolled, error)
	// RenewIdentity returns an identity as it is now, whose next certificate lives for its
	// own life, or for the given one. One that is unknown or revoked is Unauthorized.
	RenewIdentity(ctx context.Context, id string, life time.Duration) (identity.Enrolled, error)
	CreateIdentity(ctx context.Context, c identity.Creation, by string, audit []fleet.AuditEntry) error
	// RevokeIdentity revokes an identity with its tokens. Where there is none the error is
	// NotFound.
	RevokeIdentity(ctx context.Context, role identity.Role, name, by string, audit []fleet.AuditEntry) error
	Identities(ctx context.Context) ([]identity.Record, error)
}

// Admin creates, lists and revokes identities.
type Admin struct {
	Store Store
	// Fingerprint is that of the authority, and Doors are the addresses of the gateways, for
	// tokens.
	Fingerprint string
	Doors       []string
	// Now is the clock.
	Now func() time.Time
}

// Do does what an operator asks for.
func (a *Admin) Do(ctx context.Context, actor fleet.Actor, request enrol.Request) (enrol.Answer, error) {
	switch {
	case request.Create != nil:
		return a.create(ctx, actor, *request.Create)
	case request.Revoke != "":
		return enrol.Answer{}, a.revoke(ctx, actor, request.Revoke)
	}
	list, err := a.Store.Identities(ctx)
	return enrol.Answer{Identities: list}, err
}

func (a *Admin) create(ctx context.Context, actor fleet.Actor, c identity.Creation) (enrol.Answer, error) {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	c.Identity.ID = hex.EncodeToString(id[:])
	switch {
	case !identity.IsHash(c.Hash):
		return enrol.Answer{}, fault.New(fault.Invalid, "the hash of the token is not valid")
	case c.Life != 0 && (c.Life < identity.MinLife || c.Life > identity.MaxLife):
		return enrol.Answer{}, fault.New(fault.Invalid, "a certificate cannot live for %s: at least %s and at most %s are permitted", c.Life, identity.MinLife, identity.MaxLife)
	case c.TokenLife < time.Minute || c.TokenLife > identity.MaxTokenLife:
		return enrol.Answer{}, fault.New(fault.Invalid, "a token cannot live for %s: at least 1m and at most %s are permitted", c.TokenLife, identity.MaxTokenLife)
	case len(a.Doors) == 0:
		return enrol.Answer{}, fault.New(fault.Invalid, "the gateways do not know at which addresses they are reached").
			WithHint("set [gateway] addresses in the mcp.toml of each gateway")
	}
	if err := c.Identity.Check(); err != nil {
		return enrol.Answer{}, err
	}
	if err := a.Store.CreateIdentity(ctx, c, actor.Who, a.audited(actor, "identity create", c.Identity)); err != nil {
		return enrol.Answer{}, err
	}
	return enrol.Answer{Fingerprint: a.Fingerprint, Doors: a.Doors}, nil
}

func (a *Admin) revoke(ctx context.Context, actor fleet.Actor, text string) error {
	who, err := identity.Parse(text)
	if err != nil {
		return err
	}
	return a.Store.RevokeIdentity(ctx, who.Role, who.Name, actor.Who, a.audited(actor, "identity revoke", who))
}

// audited are the entries of the audit of an action that succeeds, in the transaction in
// which it does.
func (a *Admin) audited(actor fleet.Actor, verb string, who identity.Identity) []fleet.AuditEntry {
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // never fails
	action := fleet.Action{Verb: verb, Detail: who.String()}
	switch who.Role {
	case identity.Node:
		action.Node = who.Name
	case identity.Edge:
		action.Edge = who.Name
	}
	begun := fleet.AuditEntry{Key: "identity/" + hex.EncodeToString(nonce[:]), At: a.Now(), Actor: actor, Action: action}
	ended := begun
	ended.Outcome = "succeeded"
	return []fleet.AuditEntry{begun, ended}
}
