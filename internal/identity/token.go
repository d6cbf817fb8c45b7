package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

// Token lets one machine join once. Its text is a secret until it is used.
type Token struct {
	// Role and Name are those of the identity that it makes.
	Role Role   `json:"role"`
	Name string `json:"name"`
	// Door are the addresses of the gateways, each host:port.
	Door []string `json:"door"`
	// Authority is the fingerprint of the authority: by it, a machine that joins
	// recognizes the right gateway.
	Authority string `json:"authority"`
	// Secret is the secret of which the gateway has the hash.
	Secret []byte `json:"secret"`
}

const (
	tokenPrefix = "mcp-join-1."
	secretSize  = 32
	// maxToken bounds the text of a token, in bytes.
	maxToken = 4 << 10
	// MaxDoors bounds the addresses of gateways.
	MaxDoors = 16
)

// NewSecret makes the secret of a token, and the hash that the registry keeps of it.
func NewSecret() (secret []byte, hash string) {
	secret = make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	return secret, HashSecret(secret)
}

// HashSecret returns the SHA-256 of a secret, in hexadecimal. The secret has 256 random
// bits, so a slow hash would not protect it better.
func HashSecret(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

// IsHash reports whether a text has the form of what HashSecret returns.
func IsHash(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size && text == strings.ToLower(text)
}

// String returns the text that ParseToken reads. It holds the secret.
func (t Token) String() string {
	text, _ := json.Marshal(t) // strings and bytes never fail
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(text)
}

// Who returns the role and the name of the token.
func (t Token) Who() Identity { return Identity{Role: t.Role, Name: t.Name} }

// ParseToken reads a token. The error quotes nothing of it.
func ParseToken(text string) (Token, error) {
	var t Token
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok || len(text) > maxToken {
		return t, badToken("it does not begin with " + tokenPrefix)
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || json.Unmarshal(raw, &t) != nil {
		return t, badToken("a part of it is missing or was changed")
	}
	if err := t.Who().checkName(); err != nil {
		return t, badToken(err.Error())
	}
	if len(t.Secret) != secretSize || !IsHash(t.Authority) {
		return t, badToken("a part of it is missing or was changed")
	}
	return t, CheckDoors(t.Door)
}

// CheckDoors fails unless there are addresses of gateways, each host:port.
func CheckDoors(addresses []string) error {
	if len(addresses) == 0 || len(addresses) > MaxDoors {
		return fault.New(fault.Invalid, "%d addresses of gateways: at least 1 and at most %d are permitted", len(addresses), MaxDoors)
	}
	for _, a := range addresses {
		host, port, err := net.SplitHostPort(a)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil || host == "" || strings.ContainsAny(host, "/ \t\n") || len(a) > 300 {
			return fault.New(fault.Invalid, "the address of a gateway must be host:port, not %.80q", a)
		}
	}
	return nil
}

func badToken(why string) error {
	return fault.New(fault.Invalid, "the token cannot be read: %s", why).
		WithHint("copy the whole line that mcp identity create has printed, or create another token")
}
