package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/metacircular/mcp/internal/door/who"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/seal"
)

// The names of the keys in the registry.
const (
	authorityKey = registry.GatewayAuthority
	nextKey      = registry.GatewayNextAuthority
	secretKey    = registry.GatewaySecret
)

// secretSize is the length of the secret, in bytes.
const secretSize = 32

// keys are those that all gateways of a fleet share.
type keys struct {
	authorities identity.Authorities
	// secret is what the keys of the law are derived from.
	secret []byte
}

// keyStore is what the keys need of the registry.
type keyStore interface {
	GatewayKeys(ctx context.Context) (map[string]registry.GatewayKey, error)
	AddGatewayKeys(ctx context.Context, keys map[string]registry.GatewayKey) error
}

// readKeys reads the keys from the registry, and makes those that are missing. A registry
// that was emptied gets those of the copy, so that the identities of the fleet stay valid.
func readKeys(ctx context.Context, store keyStore, own *seal.Identity, copied map[string]registry.GatewayKey) (keys, map[string]registry.GatewayKey, error) {
	sealed, err := store.GatewayKeys(ctx)
	if err != nil {
		return keys{}, nil, err
	}
	if len(sealed[authorityKey].Sealed) == 0 || len(sealed[secretKey].Sealed) == 0 {
		added := copied
		if _, err := openKeys(copied, own); err != nil || len(sealed) > 0 {
			if added, err = makeKeys(own.Key()); err != nil {
				return keys{}, nil, err
			}
		}
		if err := store.AddGatewayKeys(ctx, added); err != nil { // those of another gateway stay
			return keys{}, nil, err
		}
		if sealed, err = store.GatewayKeys(ctx); err != nil {
			return keys{}, nil, err
		}
	}
	opened, err := openKeys(sealed, own)
	return opened, sealed, err
}

func makeKeys(to seal.Key) (map[string]registry.GatewayKey, error) {
	authority, err := makeAuthority(to)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	signer, err := who.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	sealed, err := seal.Seal(subject(secretKey), []byte(base64.StdEncoding.EncodeToString(secret)), to)
	if err != nil {
		return nil, err
	}
	return map[string]registry.GatewayKey{authorityKey: authority, secretKey: {Sealed: sealed, Public: signer.Key().String()}}, nil
}

// makeAuthority makes an authority, sealed to a key.
func makeAuthority(to seal.Key) (sealed registry.GatewayKey, err error) {
	authority, err := identity.NewAuthority(time.Now())
	if err != nil {
		return sealed, err
	}
	text, err := authority.Marshal()
	if err != nil {
		return sealed, err
	}
	sealed.Public = string(authority.Roots().PEM())
	sealed.Sealed, err = seal.Seal(subject(authorityKey), text, to)
	return sealed, err
}

// ErrOtherKey is the cause if the key file of a gateway is not the one to which the keys in
// the registry are sealed.
var ErrOtherKey = errors.New("the key file of this gateway is another one")

func openKeys(sealed map[string]registry.GatewayKey, own *seal.Identity) (keys, error) {
	var k keys
	values := map[string][]byte{}
	for _, name := range []string{authorityKey, nextKey, secretKey} {
		if name == nextKey && len(sealed[name].Sealed) == 0 {
			continue
		}
		of := name
		if name == nextKey { // which becomes the authority as it is sealed
			of = authorityKey
		}
		if len(sealed[name].Sealed) == 0 {
			return k, fault.New(fault.NotFound, "opening the keys of the gateways: %q is missing", name).
				WithHint("start a gateway again: it makes what is missing")
		}
		value, err := own.Open(subject(of), sealed[name].Sealed)
		if err != nil {
			return k, fault.Wrap(fault.Unauthorized, fmt.Errorf("%w: %w", ErrOtherKey, err), "opening the keys of the gateways").
				WithHint("copy the file of [gateway] key_file from the gateway that was started first")
		}
		values[name] = value
	}
	var err error
	if k.authorities.Current, err = identity.ParseAuthority(values[authorityKey]); err != nil {
		return k, err
	}
	if next, ok := values[nextKey]; ok {
		if k.authorities.Next, err = identity.ParseAuthority(next); err != nil {
			return k, err
		}
	}
	k.secret, err = base64.StdEncoding.DecodeString(string(values[secretKey]))
	if err != nil || len(k.secret) != secretSize {
		return k, fault.New(fault.Invalid, "the secret of the gateways is damaged")
	}
	return k, nil
}

func subject(name string) string { return "gateway/" + name }

const (
	// registryTime bounds one attempt to read the registry.
	registryTime = 15 * time.Second
	// firstPause and longestPause bound the time between two attempts.
	firstPause, longestPause = time.Second, 15 * time.Second
)

// awaitKeys returns the keys, opened and as they are sealed, from the registry or, while
// that is away, from the copy. Without a copy it waits.
func awaitKeys(ctx context.Context, prepare func(context.Context) error, store keyStore, own *seal.Identity, copied copies, log *slog.Logger) (keys, map[string]registry.GatewayKey, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		k, sealed, err := func() (keys, map[string]registry.GatewayKey, error) {
			ctx, cancel := context.WithTimeout(ctx, registryTime)
			defer cancel()
			if err := prepare(ctx); err != nil {
				return keys{}, nil, err
			}
			return readKeys(ctx, store, own, copied.read().Keys)
		}()
		switch {
		case err == nil:
			if err := copied.keepKeys(sealed); err != nil {
				log.Warn("this gateway cannot start while Postgres is away: the copy of its keys is not written", "error", err)
			}
			return k, sealed, nil
		case ctx.Err() != nil:
			return keys{}, nil, ctx.Err()
		case !fault.Is(err, fault.Unavailable):
			return keys{}, nil, err
		}
		if kept := copied.read(); len(kept.Keys) > 0 {
			log.Warn("Postgres is away: known identities are served from a copy, and none is added", "error", err)
			k, err := openKeys(kept.Keys, own)
			return k, kept.Keys, err
		}
		log.Warn("waiting for Postgres, which has the keys of the gateways", "error", err, "next", pause)
		select {
		case <-ctx.Done():
			return keys{}, nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
