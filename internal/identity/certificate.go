package identity

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// scheme is the scheme of the URI in a certificate.
const scheme = "mcp"

// maxURI bounds the URI in a certificate, in bytes.
const maxURI = 8 << 10

// uri returns the identity as it stands in a certificate:
// mcp://deployer/ci?id=4f…&service=shop.
func (i Identity) uri() *url.URL {
	query := url.Values{"id": {i.ID}}
	for _, s := range i.Services {
		query.Add("service", s)
	}
	for _, g := range i.Grants {
		query.Add("grant", string(g))
	}
	return &url.URL{Scheme: scheme, Host: string(i.Role), Path: "/" + i.Name, RawQuery: query.Encode()}
}

// FromCertificate returns the identity in a certificate. It does not check whether the
// certificate is genuine, valid and not revoked: see Roots.Caller.
func FromCertificate(c *x509.Certificate) (Identity, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != scheme {
		return Identity{}, fault.New(fault.Unauthorized, "the certificate names no identity of mcp's")
	}
	u := c.URIs[0]
	if len(u.RawQuery) > maxURI {
		return Identity{}, fault.New(fault.Unauthorized, "the certificate names an identity of %d bytes", len(u.RawQuery))
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.User != nil || u.Fragment != "" || len(query["id"]) != 1 {
		return Identity{}, fault.New(fault.Unauthorized, "the identity of the certificate is not valid")
	}
	i := Identity{Role: Role(u.Host), Name: strings.TrimPrefix(u.Path, "/"), ID: query.Get("id"), Services: query["service"]}
	for _, g := range query["grant"] {
		i.Grants = append(i.Grants, Grant(g))
	}
	for key := range query {
		if !slices.Contains([]string{"id", "service", "grant"}, key) {
			// What it limits is not known here, so nothing is allowed.
			return Identity{}, fault.New(fault.Unauthorized, "the certificate of %s has %.80q, which this mcp does not know", i, key).
				WithHint("upgrade the gateway")
		}
	}
	if err := i.Check(); err != nil {
		return Identity{}, fault.Wrap(fault.Unauthorized, err, "the certificate is not valid")
	}
	return i, nil
}

// Roots are the authorities that a machine trusts: one, or two while another takes over.
type Roots []*x509.Certificate

// maxRoots bounds the authorities of a file.
const maxRoots = 16

// ParseRoots reads authorities in PEM.
func ParseRoots(text []byte) (Roots, error) {
	list, err := parseChain(text)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, fault.New(fault.Invalid, "there is no certificate of an authority")
	case len(list) > maxRoots:
		return nil, fault.New(fault.Invalid, "there are %d authorities: at most %d are permitted", len(list), maxRoots)
	}
	for _, c := range list {
		if !c.IsCA {
			return nil, fault.New(fault.Invalid, "the certificate of %q is not that of an authority", c.Subject.CommonName)
		}
	}
	return list, nil
}

// PEM returns what ParseRoots reads.
func (r Roots) PEM() []byte { return encodeChain(r) }

// pool returns the authorities for x509.
func (r Roots) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range r {
		pool.AddCert(c)
	}
	return pool
}

// Caller returns the identity of the client of a connection, with its certificate. If the
// certificate is genuine, but not valid at that time, identity and certificate are returned
// with the error, an *OutOfTime.
func (r Roots) Caller(state tls.ConnectionState, now time.Time) (Identity, *x509.Certificate, error) {
	if len(state.PeerCertificates) == 0 {
		return Identity{}, nil, fault.New(fault.Unauthorized, "the connection has no client certificate").
			WithHint("join with a token: mcp join TOKEN")
	}
	leaf := state.PeerCertificates[0]
	outside, err := r.verify(leaf, x509.ExtKeyUsageClientAuth, "", now)
	if err != nil {
		return Identity{}, nil, fault.Wrap(fault.Unauthorized, err, "the certificate of the client is not of this authority").
			WithHint("join with a token of this gateway: mcp join TOKEN")
	}
	who, err := FromCertificate(leaf)
	if err != nil {
		return Identity{}, nil, err
	}
	if outside != nil {
		outside.Of = who.String()
		return who, leaf, outside
	}
	return who, leaf, nil
}

// Door checks that a connection leads to a gateway of these authorities.
func (r Roots) Door(state tls.ConnectionState, now time.Time) error {
	outside, err := r.door(state, now)
	if err == nil && outside != nil {
		return outside
	}
	return err
}

func (r Roots) door(state tls.ConnectionState, now time.Time) (*OutOfTime, error) {
	if len(state.PeerCertificates) == 0 {
		return nil, fault.New(fault.Unauthorized, "the gateway has no certificate")
	}
	outside, err := r.verify(state.PeerCertificates[0], x509.ExtKeyUsageServerAuth, ServerName, now)
	if err != nil {
		return nil, fault.Wrap(fault.Unauthorized, err, "this is not the gateway of the authority that this machine has joined")
	}
	if outside != nil {
		outside.Of = "the gateway"
	}
	return outside, nil
}

// verify checks a certificate. For one that is genuine, but not valid at that time, outside
// is not nil.
func (r Roots) verify(leaf *x509.Certificate, usage x509.ExtKeyUsage, server string, now time.Time) (outside *OutOfTime, err error) {
	at := now
	switch {
	case now.Before(leaf.NotBefore):
		at = leaf.NotBefore
	case now.After(leaf.NotAfter):
		at = leaf.NotAfter
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: r.pool(), DNSName: server, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage}})
	if err != nil {
		return nil, err
	}
	if !at.Equal(now) {
		return &OutOfTime{From: leaf.NotBefore, Until: leaf.NotAfter, Now: now}, nil
	}
	return nil, nil
}
