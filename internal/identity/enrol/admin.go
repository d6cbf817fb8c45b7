package enrol

import (
	"context"
	"os"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

// Ask sends a request of an operator to a gateway.
func Ask(ctx context.Context, doors []string, d identity.Directory, request Request) (Answer, error) {
	if _, err := d.Read(); err != nil {
		return Answer{}, err
	}
	request.Host, _ = os.Hostname()
	answer, err := exchange(ctx, doors, d.ClientTLS(Protocol), request)
	if fault.Is(err, fault.Unauthorized) {
		if refusal := Refusal(ctx, doors, d); refusal != nil {
			return Answer{}, refusal // which also says what to do
		}
	}
	return answer, err
}

// NewToken returns a token for a new identity, and the request that creates it. The
// secret of the token is in the token alone.
func NewToken(c identity.Creation) (token identity.Token, request Request) {
	secret, hash := identity.NewSecret()
	c.Hash = hash
	return identity.Token{Role: c.Identity.Role, Name: c.Identity.Name, Secret: secret}, Request{Create: &c}
}

// Complete adds to a token what the gateway has answered.
func Complete(token identity.Token, answer Answer) (identity.Token, error) {
	token.Authority, token.Door = answer.Fingerprint, answer.Doors
	if _, err := identity.ParseToken(token.String()); err != nil {
		return identity.Token{}, fault.Wrap(fault.Internal, err, "making a token of the gateway's answer")
	}
	return token, nil
}
