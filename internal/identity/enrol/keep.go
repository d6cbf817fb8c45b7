package enrol

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

const (
	// minWait and maxWait bound the time until the next attempt to renew.
	minWait, maxWait = 10 * time.Second, time.Hour
)

// Keep renews the certificate of a directory, at two thirds of its life, until ctx ends, and
// within an hour if the authority of the gateways is another one. A failed renewal is tried
// again while the certificate is valid, and afterwards, because an operator may have the
// machine join again.
func Keep(ctx context.Context, doors []string, d identity.Directory, log *slog.Logger) {
	for {
		wait := keep(ctx, doors, d, log)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// keep renews the certificate if it is time to, and returns how long to wait before the
// next check.
func keep(ctx context.Context, doors []string, d identity.Directory, log *slog.Logger) time.Duration {
	c, err := d.Read()
	if err != nil {
		log.Error("the identity of this machine cannot be read", "error", err)
		return time.Minute
	}
	outdated, refusal := compare(ctx, doors, d, c)
	if ctx.Err() != nil {
		return 0
	}
	if refusal != nil {
		f := fault.Of(refusal)
		log.Error("the gateways do not serve this machine", "identity", c.Identity.String(), "error", f.Message, "hint", f.Hint)
		return time.Minute
	}
	now := time.Now()
	if now.Before(c.Due()) && !outdated {
		return min(maxWait, c.Due().Sub(now))
	}
	if err := Renew(ctx, doors, d); err != nil {
		wait := Retry(c.Certificate.NotAfter.Sub(now))
		if ctx.Err() == nil {
			log.Warn("the certificate of this machine is not renewed yet", "identity", c.Identity.String(), "until", c.Certificate.NotAfter, "next", wait, "error", err)
		}
		return wait
	}
	log.Info("the certificate of this machine is renewed", "identity", c.Identity.String())
	if next, err := d.Read(); err == nil {
		return max(minWait, min(maxWait, time.Until(next.Due())))
	}
	return minWait
}

// Update renews a certificate if the authority of the gateways is another one, and reports
// whether it has.
func Update(ctx context.Context, doors []string, d identity.Directory) (renewed bool, err error) {
	c, err := d.Read()
	if err != nil {
		return false, err
	}
	if outdated, refusal := compare(ctx, doors, d, c); !outdated || refusal != nil {
		return false, nil // the next request reports better why the gateways serve none
	}
	return true, Renew(ctx, doors, d)
}

// Refusal returns why the gateways no longer serve this machine, as far as a machine can
// find out: the clocks differ, or the authority of one side is unknown to the other. It is nil
// if there is no such reason, or if no gateway answers.
func Refusal(ctx context.Context, doors []string, d identity.Directory) error {
	c, err := d.Read()
	if err != nil {
		return err
	}
	_, refusal := compare(ctx, doors, d, c)
	return refusal
}

// compare compares a certificate, and the authorities that the machine trusts, with what a
// gateway says. Outdated reports whether the gateways sign with another authority, or have
// dropped one that the machine trusts.
func compare(ctx context.Context, doors []string, d identity.Directory, c identity.Content) (outdated bool, refusal error) {
	greeting, ours, theirs, err := greet(ctx, doors, d)
	again := fmt.Sprintf("join again with a new token, which an operator creates: mcp identity create %s %s", c.Identity.Role, c.Identity.Name)
	if fault.Is(err, fault.Unauthorized) {
		return false, fault.Of(err).WithHint("if the authority was replaced while this machine was away, %s; otherwise find out who answers at this address", again)
	}
	if err != nil {
		return false, nil
	}
	if err := identity.CheckClock(ours, theirs); err != nil {
		return false, err
	}
	issuer := c.Issuer()
	switch {
	case greeting.Authority == "": // of a gateway that has no more than one
		return false, nil
	case !slices.Contains(greeting.Authorities, issuer):
		return false, fault.New(fault.Unauthorized, "the certificate of %s is of an authority that was replaced, and counts no more", c.Identity).WithHint("%s", again)
	}
	return issuer != greeting.Authority || slices.ContainsFunc(c.Roots.Fingerprints(), func(own string) bool {
		return !slices.Contains(greeting.Authorities, own)
	}), nil
}

// Retry returns how long to wait after a failed renewal: a tenth of what is left of the
// certificate's life, so that a gateway that was away is found in time.
func Retry(left time.Duration) time.Duration { return max(minWait, min(maxWait, left/10)) }
