package enrol

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/identity"
)

const (
	// minWait and maxWait bound the time until the next attempt to renew.
	minWait, maxWait = 10 * time.Second, time.Hour
)

// Keep renews the certificate of a directory, at two thirds of its life, until ctx ends,
// and within an hour where the authority of the gateways is another one. What fails is tried
// again while the certificate lives, and after, because an operator may have the machine
// join anew.
func Keep(ctx context.Context, doors []string, d identity.Directory, log *slog.Logger) {
	for {
		wait := time.Minute
		if c, err := d.Read(); err != nil {
			log.Error("the identity of this machine cannot be read", "error", err)
		} else if now := time.Now(); now.Before(c.Due()) && !outdated(ctx, doors, d, c) {
			wait = min(maxWait, c.Due().Sub(now))
		} else if err := Renew(ctx, doors, d); err != nil {
			if ctx.Err() != nil {
				return
			}
			wait = Retry(c.Certificate.NotAfter.Sub(now))
			log.Warn("the certificate of this machine is not renewed yet", "identity", c.Identity.String(), "until", c.Certificate.NotAfter, "next", wait, "error", err)
		} else {
			wait = minWait
			if next, err := d.Read(); err == nil {
				wait = max(minWait, min(maxWait, time.Until(next.Due())))
			}
			log.Info("the certificate of this machine is renewed", "identity", c.Identity.String())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// outdated reports whether the gateways sign with another authority than that of a
// certificate, or have dropped one that the machine trusts. While none answers it is false.
func outdated(ctx context.Context, doors []string, d identity.Directory, c identity.Content) bool {
	greeting, _, _, err := greet(ctx, doors, d)
	if err != nil || greeting.Authority == "" { // of a gateway that has no more than one
		return false
	}
	return c.Issuer() != greeting.Authority || slices.ContainsFunc(c.Roots.Fingerprints(), func(own string) bool {
		return !slices.Contains(greeting.Authorities, own)
	})
}

// Update renews a certificate where the authority of the gateways is another one, and
// reports whether it has.
func Update(ctx context.Context, doors []string, d identity.Directory) (renewed bool, err error) {
	c, err := d.Read()
	if err != nil || !outdated(ctx, doors, d, c) {
		return false, err
	}
	return true, Renew(ctx, doors, d)
}

// Retry is how long to wait after a failed renewal: a tenth of what is left of the
// certificate's life, so that a gateway that was away is found in time.
func Retry(left time.Duration) time.Duration { return max(minWait, min(maxWait, left/10)) }
