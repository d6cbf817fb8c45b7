package door

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// joinTime bounds a request, including the time that Postgres takes for it.
const joinTime = 15 * time.Second

// join serves one request of mcp-join/1.
func (d *Door) join(ctx context.Context, conn *tls.Conn) {
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.NetConn().Close() })()
	_ = conn.SetDeadline(time.Now().Add(joinTime))
	authorities := d.authorities.Load()
	greeting := enrol.Greeting{
		Time: d.o.Now(), Version: d.o.Version,
		Authority: authorities.Issuer(d.o.Now()).Fingerprint(), Authorities: authorities.Roots().Fingerprints(),
	}
	if enrol.Write(conn, greeting) != nil {
		return
	}
	var request enrol.Request
	if enrol.Read(conn, &request, enrol.MaxRequest) != nil {
		return // a client that only asks for the time
	}
	word := wordOf(request)
	answer, who, err := d.answer(ctx, conn, request)
	if err != nil {
		d.counts.add(word+" refused", string(who.Role))
		d.log.Warn("a request for an identity is refused", "request", word, "identity", named(who), "from", conn.RemoteAddr().String(), "error", err)
		answer = enrol.Answer{Error: shown(err)}
	} else {
		d.counts.add(word, string(who.Role))
		d.log.Info("a request for an identity is done", "request", word, "identity", who.String(), "from", conn.RemoteAddr().String())
	}
	_ = enrol.Write(conn, answer)
}

// named returns an identity for the log: "" if a request does not show whose it is.
func named(who identity.Identity) string {
	if who.Role == "" {
		return ""
	}
	return who.String()
}

// wordOf returns what a request asks for, in a word.
func wordOf(r enrol.Request) string {
	switch {
	case r.Secret != nil:
		return "join"
	case r.Create != nil:
		return "create"
	case r.Revoke != "":
		return "revoke"
	case r.List:
		return "list"
	case r.Rotate != nil:
		return "rotate"
	}
	return "renew"
}

// answer does what a request asks for. It also returns the identity that the request is
// about, or that asks.
func (d *Door) answer(ctx context.Context, conn *tls.Conn, request enrol.Request) (enrol.Answer, identity.Identity, error) {
	select {
	case d.joining <- struct{}{}:
		defer func() { <-d.joining }()
	default:
		return enrol.Answer{}, identity.Identity{}, fault.New(fault.Unavailable, "the gateway is serving %d requests for identities already", maxJoining)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	if wordOf(request) == "join" {
		return d.useToken(ctx, conn, request)
	}
	c := d.callerOf(conn.ConnectionState())
	if c.refused != nil {
		return enrol.Answer{}, c.who, c.refused
	}
	if wordOf(request) == "renew" {
		if err := d.keep(ctx, []identity.Seen{seenOf(c.who, c.leaf)}); err != nil {
			return enrol.Answer{}, c.who, err
		}
		by := d.authorities.Load()
		enrolled, err := d.o.Store.RenewIdentity(ctx, c.who.ID, d.o.Life, by.Issuer(d.o.Now()).Fingerprint())
		if err != nil {
			return enrol.Answer{}, c.who, err
		}
		answer, err := d.issue(enrolled, request, *by)
		return answer, c.who, err
	}
	if c.who.Role != identity.Operator {
		return enrol.Answer{}, c.who, fault.New(fault.Forbidden, "%s may not see or change identities: operators may", c.who)
	}
	answer, err := d.admin.Do(ctx, fleet.Actor{Who: c.who.String(), From: fromOf(conn, request.Host)}, request)
	if request.Revoke != "" && err == nil {
		d.Refresh(ctx) // other gateways follow when they next read the list
	}
	return answer, c.who, err
}

func (d *Door) useToken(ctx context.Context, conn *tls.Conn, request enrol.Request) (enrol.Answer, identity.Identity, error) {
	key, err := identity.RequestedKey(request.Certificate)
	if err != nil {
		return enrol.Answer{}, identity.Identity{}, err
	}
	sum := sha256.Sum256(key)
	from := fromOf(conn, request.Host)
	by := d.authorities.Load()
	enrolled, err := d.o.Store.UseToken(ctx, identity.TokenUse{
		Hash: identity.HashSecret(request.Secret), Key: hex.EncodeToString(sum[:]), From: from, Life: d.o.Life,
		Authority: by.Issuer(d.o.Now()).Fingerprint(),
	}, func(who identity.Identity) []fleet.AuditEntry {
		return d.admin.audited(fleet.Actor{Who: who.String(), From: from}, "join", who)
	})
	if err != nil {
		return enrol.Answer{}, enrolled.Identity, err
	}
	answer, err := d.issue(enrolled, request, *by)
	return answer, enrolled.Identity, err
}

// issue answers with a certificate.
func (d *Door) issue(enrolled identity.Enrolled, request enrol.Request, by identity.Authorities) (enrol.Answer, error) {
	now := d.o.Now()
	issued, err := by.Issuer(now).Issue(enrolled.Identity, request.Certificate, enrolled.Life, now)
	if err != nil {
		return enrol.Answer{}, err
	}
	return enrol.Answer{Certificate: issued.Raw, Authorities: string(by.Roots().PEM()), Doors: d.o.Doors, Namespace: d.o.Namespace}, nil
}

// shown returns an error as the sender of the request may see it: that may be anyone who
// reaches the port, so it says nothing of what is behind the gateway.
func shown(err error) *fault.Error {
	f := fault.Of(err)
	switch f.Kind {
	case fault.Unavailable:
		return fault.New(fault.Unavailable, "the gateway is busy, or its registry is away").
			WithHint("try again later: a token is not used up by this")
	case fault.Internal, fault.DiskFull:
		return fault.New(fault.Internal, "the gateway has failed; its log has the reason")
	}
	return f
}

// maxHost bounds what a machine calls itself, in bytes.
const maxHost = 255

// fromOf returns where a request comes from: the address, and what the machine calls
// itself.
func fromOf(conn net.Conn, host string) string {
	from, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		from = conn.RemoteAddr().String()
	}
	if host == "" || len(host) > maxHost {
		return from
	}
	return host + " (" + from + ")"
}
