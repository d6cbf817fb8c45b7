package dev

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/gateway"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// members returns the platform's own identities: those of its workers and its edge, and
// that of the operator who uses its mcp.toml.
func (p *Platform) members() []identity.Identity {
	var list []identity.Identity
	for _, role := range []identity.Role{identity.Control, identity.Node, identity.Builder, identity.Edge, identity.Operator} {
		if role != identity.Edge || p.edge != "" {
			list = append(list, identity.Identity{Role: role, Name: Local, ID: "0"}) // the registry chooses the id
		}
	}
	return list
}

// identityOf returns the directory of the platform's identity of a role.
func (p *Platform) identityOf(role identity.Role) identity.Directory {
	return identity.Directory(p.path(filepath.Join(identitiesDir, string(role))))
}

// enrolAll makes the identities that are missing, and renews the others: after weeks
// without a start their certificates have expired.
func (p *Platform) enrolAll(ctx context.Context) error {
	p.enrolling.Lock()
	defer p.enrolling.Unlock()
	dir := p.path(identitiesDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of identities: %w", err)
	}
	if err := parts.NoLinks(dir); err != nil {
		return fmt.Errorf("make the directory of identities: %w", err)
	}
	group, enrolling := errgroup.WithContext(ctx)
	for _, who := range p.members() {
		group.Go(func() error {
			if err := p.enrol(enrolling, who); err != nil {
				return named("make the identity "+who.String(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// enrol renews the certificate of an identity. If that is refused, because it has expired,
// or is revoked, damaged, or of another authority, the identity is made again.
func (p *Platform) enrol(ctx context.Context, who identity.Identity) error {
	d := p.identityOf(who.Role)
	if d.Exists() {
		err := p.renew(ctx, who, d)
		if err == nil || ctx.Err() != nil || fault.Is(err, fault.Unavailable) {
			return err
		}
		p.options.Logger.Info("an identity is made anew", "identity", who.String(), "reason", err)
	}
	token, request := enrol.NewToken(identity.Creation{Identity: who, TokenLife: identity.DefaultTokenLife})
	answer, err := gateway.Direct(ctx, p.postgresURL, false, p.doors(), p.gatewayKey(), fleet.Itself(), request)
	if err != nil {
		return err
	}
	if token, err = enrol.Complete(token, answer); err != nil {
		return err
	}
	joined, err := enrol.Join(ctx, token)
	if err != nil {
		return err
	}
	return joined.Save(d)
}

func (p *Platform) renew(ctx context.Context, who identity.Identity, d identity.Directory) error {
	if err := enrol.Renew(ctx, p.doors(), d); err != nil {
		return err
	}
	c, err := d.Read()
	if err == nil && c.Identity.String() != who.String() {
		err = fault.New(fault.Invalid, "%s holds the identity of %s", d, c.Identity)
	}
	return err
}

const (
	// identityInterval is how often the certificates are checked. A machine that has slept
	// may wake up with certificates that have expired.
	identityInterval = time.Minute
	// identityTime bounds what is done for one of them.
	identityTime = 30 * time.Second
)

// keepIdentities renews the certificates in time, until ctx ends.
func (p *Platform) keepIdentities(ctx context.Context) {
	tick := time.NewTicker(identityInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, who := range p.members() {
			if err := p.keepIdentity(ctx, who); err != nil && ctx.Err() == nil {
				p.options.Logger.Warn("an identity is not renewed yet", "identity", who.String(), "next", identityInterval, "error", err)
			}
		}
	}
}

// keepIdentity renews the certificate of an identity if it is due, or of an authority that
// is being replaced.
func (p *Platform) keepIdentity(ctx context.Context, who identity.Identity) error {
	p.enrolling.Lock()
	defer p.enrolling.Unlock()
	ctx, cancel := context.WithTimeout(ctx, identityTime)
	defer cancel()
	d := p.identityOf(who.Role)
	c, err := d.Read()
	switch now := time.Now(); {
	case err != nil || now.After(c.Certificate.NotAfter):
		return p.enrol(ctx, who)
	case now.After(c.Due()):
		return p.renew(ctx, who, d)
	}
	_, err = enrol.Update(ctx, p.doors(), d)
	return err
}

// again returns a function that starts a client of the gateway again, with valid
// identities: one that was revoked may be why the client has died.
func (p *Platform) again(start func(context.Context) (part, error)) func(context.Context) (part, error) {
	return func(ctx context.Context) (part, error) {
		if err := p.enrolAll(ctx); err != nil {
			return nil, err
		}
		return start(ctx)
	}
}

// connection returns the options of a client with the platform's identity of a role, and
// what it encrypts with: nothing, because the gateway has the keys.
func (p *Platform) connection(role identity.Role) (client.Options, *codec.Codec) {
	o := config.Tuned(client.Options{HostPort: p.info.Gateway.Address})
	o.ConnectionOptions.TLS = p.identityOf(role).ClientTLS()
	behind := codec.Behind()
	behind.Install(&o)
	return o, behind
}
