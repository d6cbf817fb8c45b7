package door

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// joinTime bounds a request for a certificate, with what Postgres takes for it.
const joinTime = 15 * time.Second

// join serves one request for a certificate.
func (d *Door) join(ctx context.Context, conn *tls.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(joinTime))
	if enrol.Write(conn, enrol.Greeting{Time: d.o.Now(), Version: d.o.Version}) != nil {
		return
	}
	var request enrol.Request
	if enrol.Read(conn, &request) != nil {
		return // a client that only wants to know the time
	}
	answer, who, err := d.certificate(ctx, conn, request)
	kind := "renew"
	if request.Secret != nil {
		kind = "join"
	}
	if err != nil {
		d.counts.add(kind+" refused", string(who.Role))
		d.log.Warn("no certificate is issued", "request", kind, "identity", who.String(), "from", conn.RemoteAddr().String(), "error", err)
		answer = enrol.Answer{Error: shown(err)}
	} else {
		d.counts.add(kind, string(who.Role))
		d.log.Info("a certificate is issued", "request", kind, "identity", who.String(), "from", conn.RemoteAddr().String())
	}
	_ = enrol.Write(conn, answer)
}

// certificate issues one.
func (d *Door) certificate(ctx context.Context, conn *tls.Conn, request enrol.Request) (enrol.Answer, identity.Identity, error) {
	select {
	case d.joining <- struct{}{}:
		defer func() { <-d.joining }()
	default:
		return enrol.Answer{}, identity.Identity{}, fault.New(fault.Unavailable, "the gateway is issuing %d certificates already", maxJoining)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	now := d.o.Now()
	var enrolled identity.Enrolled
	var who identity.Identity
	key, err := identity.RequestedKey(request.Certificate)
	switch {
	case err != nil:
	case request.Secret != nil:
		sum := sha256.Sum256(key)
		enrolled, err = d.o.Store.UseToken(ctx, identity.TokenUse{
			Hash: identity.HashSecret(request.Secret), Key: hex.EncodeToString(sum[:]), From: fromOf(conn, request.Host), Life: d.o.Life,
		})
	default:
		c := d.callerOf(conn.ConnectionState())
		if who, err = c.who, c.refused; err == nil {
			enrolled, err = d.o.Store.RenewIdentity(ctx, who.ID, d.o.Life)
		}
	}
	if err != nil {
		return enrol.Answer{}, who, err
	}
	issued, err := d.o.Authority.Issue(enrolled.Identity, request.Certificate, enrolled.Life, now)
	if err != nil {
		return enrol.Answer{}, enrolled.Identity, err
	}
	return enrol.Answer{Certificate: issued.Raw, Authorities: string(d.o.Roots.PEM()), Doors: d.o.Doors}, enrolled.Identity, nil
}

// shown is an error as whoever has asked may see it: that may be anybody who reaches the
// port, so it says nothing of what is behind the gateway.
func shown(err error) *fault.Error {
	f := fault.Of(err)
	switch f.Kind {
	case fault.Unavailable:
		return fault.New(fault.Unavailable, "no certificates are issued now: the gateway is busy, or its registry is away").
			WithHint("try again later: a token is not used up by this")
	case fault.Internal, fault.DiskFull:
		return fault.New(fault.Internal, "the gateway has failed; its log has the reason")
	}
	return f
}

// maxHost bounds what a machine calls itself, in bytes.
const maxHost = 255

// fromOf is where a request comes from: the address, and what the machine calls itself.
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
