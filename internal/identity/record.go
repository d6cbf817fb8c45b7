package identity

import "time"

// TokenUse is the use of a token.
type TokenUse struct {
	// Hash is the hash of the token's secret, Key that of the public key of the machine.
	Hash, Key string
	// From is where the request comes from.
	From string
	// Life is how long the certificate lives, unless the identity has a life of its own.
	Life time.Duration
	// Authority is the fingerprint of the authority that signs it.
	Authority string
}

// Enrolled is an identity that gets a certificate.
type Enrolled struct {
	Identity Identity
	// Life is how long the certificate lives.
	Life time.Duration
}

// Seen is an identity of which only a valid certificate is known.
type Seen struct {
	Identity Identity
	// Key is the hash of the certificate's key, and Until when the certificate ends.
	Key   string
	Until time.Time
}

// Creation is a new identity, which joins with a token.
type Creation struct {
	Identity Identity `json:"identity"`
	// Life is how long its certificates live; 0 for the default of the gateways.
	Life time.Duration `json:"life,omitempty"`
	// Hash is that of the token's secret; TokenLife is how long the token may be used.
	Hash      string        `json:"hash"`
	TokenLife time.Duration `json:"token_life"`
}

const (
	// DefaultTokenLife is how long a token may be used.
	DefaultTokenLife = time.Hour
	// MaxTokenLife bounds it.
	MaxTokenLife = 7 * 24 * time.Hour
)

// The states of a Record.
const (
	// Invited: the token is not used yet.
	Invited = "invited"
	// Active: it has a certificate.
	Active = "active"
	// Expired: the token, or the certificate, was not used or renewed in time.
	Expired = "expired"
	// Revoked: it is refused.
	Revoked = "revoked"
)

// Record is an identity as the registry has it. The time of what has not happened is
// zero.
type Record struct {
	Identity
	Life       time.Duration `json:"life"`
	Created    time.Time     `json:"created"`
	CreatedBy  string        `json:"created_by"`
	TokenUntil time.Time     `json:"token_until"`
	Joined     time.Time     `json:"joined"`
	JoinedFrom string        `json:"joined_from,omitempty"`
	Renewed    time.Time     `json:"renewed"`
	ValidUntil time.Time     `json:"valid_until"`
	Revoked    time.Time     `json:"revoked"`
	RevokedBy  string        `json:"revoked_by,omitempty"`
	// Authority is the fingerprint of the authority that signed the last certificate.
	Authority string `json:"authority,omitempty"`
}

// State returns what the identity is at a time: Invited, Active, Expired or Revoked.
func (r Record) State(now time.Time) string {
	switch {
	case !r.Revoked.IsZero():
		return Revoked
	case r.Joined.IsZero() && now.After(r.TokenUntil), !r.Joined.IsZero() && now.After(r.ValidUntil):
		return Expired
	case r.Joined.IsZero():
		return Invited
	}
	return Active
}
