package door

import (
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// certificates holds the certificate of this gateway, which it makes itself, and replaces
// at half of its life.
type certificates struct {
	authority func() *identity.Authority
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

// get is a tls.Config.GetCertificate.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.current != nil && now.After(c.current.Leaf.NotBefore) && now.Before(c.current.Leaf.NotAfter.Add(-identity.ServerLife/2)) {
		return c.current, nil
	}
	chain, key, err := c.authority().Server(now)
	if err != nil {
		return nil, err
	}
	c.current = &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, part := range chain {
		c.current.Certificate = append(c.current.Certificate, part.Raw)
	}
	return c.current, nil
}

// renew drops the certificate: the next connection gets a new one.
func (c *certificates) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
}

// tls returns the configuration of a handshake. A client that only joins needs no
// certificate. Any other client whose certificate is not genuine is refused here; one
// whose certificate is genuine, but not valid now or revoked, is refused later, with the
// reason.
func (d *Door) tls() *tls.Config {
	protocols := []string{}
	if d.api != nil {
		protocols = append(protocols, callProtocol)
	}
	if d.o.Streams != nil {
		protocols = append(protocols, StreamProtocol)
	}
	base := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols, GetCertificate: d.certs.get,
		ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol == "" {
				return errors.New("the client names no protocol")
			}
			_, _, err := d.authorities.Load().Roots().Caller(state, d.o.Now())
			var outside *identity.OutOfTime
			if errors.As(err, &outside) {
				return nil
			}
			return err
		},
	}
	join := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{enrol.Protocol}, GetCertificate: d.certs.get,
		ClientAuth: tls.RequestClientCert, SessionTicketsDisabled: true,
	}
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Equal(hello.SupportedProtos, []string{enrol.Protocol}) {
			return join, nil
		}
		return nil, nil
	}
	return base
}
