package identity

import (
	"crypto/x509"
	"slices"
	"time"
)

// Spread is how long the next authority signs nothing after it was made, so that every
// gateway has it before it sees a certificate of it.
const Spread = time.Minute

// Authorities are those of the gateways: one, or two while the next takes over. Certificates
// of both are accepted, and machines trust both.
type Authorities struct {
	// Current signs the certificates of gateways.
	Current *Authority
	// Next takes over; nil for none.
	Next *Authority
}

// Roots returns what those who trust the gateways keep.
func (a Authorities) Roots() Roots {
	roots := a.Current.Roots()
	if a.Next != nil {
		roots = append(roots, a.Next.Roots()...)
	}
	return roots
}

// Issuer returns the authority that signs the certificates of identities.
func (a Authorities) Issuer(now time.Time) *Authority {
	if a.Next != nil && !now.Before(a.Next.Made().Add(Spread)) {
		return a.Next
	}
	return a.Current
}

// Made returns when the authority was made.
func (a *Authority) Made() time.Time { return a.certificate.NotBefore.Add(Leeway) }

// RotationStep is what an operator asks for: to replace the authority by another one.
type RotationStep struct {
	// Begin makes the next authority, unless there is one. Without it and Finish, the answer
	// is the present state.
	Begin bool `json:"begin,omitempty"`
	// Finish drops the present authority, if no identity needs it any more, or Force is set.
	Finish bool `json:"finish,omitempty"`
	Force  bool `json:"force,omitempty"`
}

// Rotation is how the replacement of the authority stands.
type Rotation struct {
	// Authority is the fingerprint of the present one, and Next that of the one that takes
	// over; "" for none.
	Authority string `json:"authority"`
	Next      string `json:"next,omitempty"`
	// Made is when the next one was made.
	Made time.Time `json:"made,omitzero"`
	// Finished reports whether this step has dropped the authority before.
	Finished bool `json:"finished,omitempty"`
	// Waiting are the identities that would be refused without the present authority: their
	// certificates are of it, or their tokens name it.
	Waiting []Record `json:"waiting,omitempty"`
}

// Issuer returns the fingerprint of the authority that has signed the certificate; "" if
// that is none of those that the machine trusts.
func (c Content) Issuer() string {
	for _, root := range c.Roots {
		if (Roots{root}).Signed(c.Certificate) {
			return Fingerprint(root)
		}
	}
	return ""
}

// Signed reports whether one of the roots has signed a certificate.
func (r Roots) Signed(c *x509.Certificate) bool {
	return slices.ContainsFunc(r, func(root *x509.Certificate) bool { return c.CheckSignatureFrom(root) == nil })
}

// Fingerprints returns the fingerprints of the roots.
func (r Roots) Fingerprints() []string {
	list := make([]string, len(r))
	for i, c := range r {
		list[i] = Fingerprint(c)
	}
	return list
}
