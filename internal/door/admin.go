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
	// RevokedIdentities returns the ids of the revoked identities whose certificates may
	// still be valid.
	RevokedIdentities(ctx context.Context) ([]string, error)
	// KeepIdentities adds the identities that the registry lacks, because it was emptied or is
	// an older dump, and returns how many there were; identities whose ids are in revoked are
	// revoked.
	KeepIdentities(ctx context.Context, seen []identity.Seen, revoked []string) (int, error)
	// UseToken uses up a token for the holder of a key, and returns its identity. The same
	// key may repeat it. If the hash is of no token, or of one that is used or has ended, the
	// error is Unauthorized.
	UseToken(ctx context.Context, use identity.TokenUse, audit func(identity.Identity) []fleet.AuditEntry) (identity.Enrolled, error)
	// RenewIdentity returns an identity as it is now, whose next certificate lives for its
	// own life, or for the given one, and is signed by the authority of that fingerprint. One
	// that is unknown or revoked is Unauthorized.
	RenewIdentity(ctx context.Context, id string, life time.Duration, authority string) (identity.Enrolled, error)
	CreateIdentity(ctx context.Context, c identity.Creation, by string, audit []fleet.AuditEntry) error
	// RevokeIdentity revokes an identity with its tokens. If there is none, the error is
	// NotFound.
	RevokeIdentity(ctx context.Context, role identity.Role, name, by string, audit []fleet.AuditEntry) error
	Identities(ctx context.Context) ([]identity.Record, error)
}

// Rotate takes a step in the replacement of the authority, and adds these entries to the
// audit if that changes something.
type Rotate func(ctx context.Context, step identity.RotationStep, audit []fleet.AuditEntry) (identity.Rotation, error)

// Admin creates, lists and revokes identities, and replaces their authority.
type Admin struct {
	Store Store
	// Fingerprint returns the fingerprint of the authority, and Doors are the addresses of
	// the gateways, for tokens.
	Fingerprint func() string
	Doors       []string
	// Rotate replaces the authority; nil if that is not possible.
	Rotate Rotate
	// Now is the clock.
	Now func() time.Time
}

// Do carries out the request of an operator.
func (a *Admin) Do(ctx context.Context, actor fleet.Actor, request enrol.Request) (enrol.Answer, error) {
	switch {
	case request.Create != nil:
		return a.create(ctx, actor, *request.Create)
	case request.Revoke != "":
		return enrol.Answer{}, a.revoke(ctx, actor, request.Revoke)
	case request.Rotate != nil:
		return a.rotate(ctx, actor, *request.Rotate)
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
	return enrol.Answer{Fingerprint: a.Fingerprint(), Doors: a.Doors}, nil
}

func (a *Admin) revoke(ctx context.Context, actor fleet.Actor, text string) error {
	who, err := identity.Parse(text)
	if err != nil {
		return err
	}
	return a.Store.RevokeIdentity(ctx, who.Role, who.Name, actor.Who, a.audited(actor, "identity revoke", who))
}

func (a *Admin) rotate(ctx context.Context, actor fleet.Actor, step identity.RotationStep) (enrol.Answer, error) {
	if a.Rotate == nil || step.Begin && step.Finish {
		return enrol.Answer{}, fault.New(fault.Invalid, "this gateway does not replace its authority in that way")
	}
	detail := "begin"
	if step.Finish {
		detail = "finish"
	}
	rotation, err := a.Rotate(ctx, step, a.entries(actor, fleet.Action{Verb: "identity rotate", Detail: detail}))
	return enrol.Answer{Rotation: &rotation}, err
}

// audited returns the audit entries of an action that succeeds, for the transaction in which
// it does.
func (a *Admin) audited(actor fleet.Actor, verb string, who identity.Identity) []fleet.AuditEntry {
	action := fleet.Action{Verb: verb, Detail: who.String()}
	switch who.Role {
	case identity.Node:
		action.Node = who.Name
	case identity.Edge:
		action.Edge = who.Name
	}
	return a.entries(actor, action)
}

func (a *Admin) entries(actor fleet.Actor, action fleet.Action) []fleet.AuditEntry {
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // never fails
	begun := fleet.AuditEntry{Key: "identity/" + hex.EncodeToString(nonce[:]), At: a.Now(), Actor: actor, Action: action}
	ended := begun
	ended.Outcome = "succeeded"
	return []fleet.AuditEntry{begun, ended}
}
