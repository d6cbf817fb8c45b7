package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/url"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// ServerName is the name of every gateway in its certificate, whatever its address.
const ServerName = "door.mcp"

const (
	// authorityLife is how long an authority lives.
	authorityLife = 10 * 365 * 24 * time.Hour
	// DefaultLife is how long a certificate lives.
	DefaultLife = 7 * 24 * time.Hour
	// MinLife and MaxLife bound that life.
	MinLife, MaxLife = time.Hour, 90 * 24 * time.Hour
	// ServerLife is how long the certificate of a gateway lives, which it makes itself.
	ServerLife = 24 * time.Hour
)

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority.
func NewAuthority(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "making the key of an authority")
	}
	template, err := template(pkix.Name{Organization: []string{"mcp"}, CommonName: "mcp authority"}, now, authorityLife)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	c, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{c, key}, nil
}

// ParseAuthority reads what Marshal returns.
func ParseAuthority(text []byte) (*Authority, error) {
	chain, err := parseChain(text)
	if err != nil || len(chain) != 1 || !chain[0].IsCA {
		return nil, fault.New(fault.Invalid, "the authority is damaged: it has no certificate")
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(chain[0].PublicKey) {
		return nil, fault.New(fault.Invalid, "the authority is damaged: its key is not that of its certificate")
	}
	return &Authority{chain[0], key}, nil
}

// Marshal returns the certificate and the private key, in PEM. They may be kept only
// sealed.
func (a *Authority) Marshal() ([]byte, error) {
	key, err := encodeKey(a.key)
	return append(encodeChain([]*x509.Certificate{a.certificate}), key...), err
}

// Roots returns what those who trust this authority keep.
func (a *Authority) Roots() Roots { return Roots{a.certificate} }

// Fingerprint returns the authority's fingerprint.
func (a *Authority) Fingerprint() string { return Fingerprint(a.certificate) }

// Fingerprint returns the SHA-256 of a certificate, in hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Issue signs a certificate of an identity for the key of a request, in DER. Whatever the
// request asks for besides its key is ignored.
func (a *Authority) Issue(who Identity, request []byte, life time.Duration, now time.Time) (*x509.Certificate, error) {
	if err := who.Check(); err != nil {
		return nil, err
	}
	if life < MinLife || life > MaxLife {
		return nil, fault.New(fault.Invalid, "a certificate of %s cannot live for %s: at least %s and at most %s are permitted", who, life, MinLife, MaxLife)
	}
	key, err := requestedKey(request)
	if err != nil {
		return nil, err
	}
	t, err := template(pkix.Name{Organization: []string{"mcp"}, CommonName: who.String()}, now, life)
	if err != nil {
		return nil, err
	}
	t.URIs = []*url.URL{who.uri()}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return sign(t, a.certificate, key, a.key)
}

// Server makes the key and the certificate of a gateway, and returns them with the
// authority's certificate, by which those who join recognize it.
func (a *Authority) Server(now time.Time) (chain []*x509.Certificate, key crypto.Signer, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Internal, err, "making the key of a gateway")
	}
	t, err := template(pkix.Name{Organization: []string{"mcp"}, CommonName: "mcp gateway"}, now, ServerLife)
	if err != nil {
		return nil, nil, err
	}
	t.DNSNames = []string{ServerName}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	c, err := sign(t, a.certificate, own.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	return []*x509.Certificate{c, a.certificate}, own, nil
}

func template(subject pkix.Name, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "making a serial number")
	}
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-Leeway), NotAfter: now.Add(life)}, nil
}

func sign(t, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key, by)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "signing a certificate")
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "reading the certificate that was signed")
	}
	return c, nil
}

// maxRequest bounds a request for a certificate, in bytes.
const maxRequest = 8 << 10

// requestedKey returns the key of a request whose signature proves that the sender has
// the private key. Keys of the kinds that NewKey makes are accepted.
func requestedKey(request []byte) (crypto.PublicKey, error) {
	if len(request) > maxRequest {
		return nil, fault.New(fault.Invalid, "a request for a certificate of %d bytes: at most %d are permitted", len(request), maxRequest)
	}
	r, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the request for a certificate is not valid")
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fault.New(fault.Invalid, "the request for a certificate has a key of another kind than ECDSA P-256")
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the request for a certificate is not signed with its key")
	}
	return key, nil
}

// RequestedKey returns the public key of a request, in DER, by which it is recognized. It
// returns an error if Issue would.
func RequestedKey(request []byte) ([]byte, error) {
	key, err := requestedKey(request)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encoding a key")
	}
	return der, nil
}

// NewKey makes the private key of an identity.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "making a key")
	}
	return key, nil
}

// Request returns a request for a certificate of a key, in DER.
func Request(key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "requesting a certificate")
	}
	return der, nil
}

const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

func encodeChain(chain []*x509.Certificate) []byte {
	var text []byte
	for _, c := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw})...)
	}
	return text
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encoding a private key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// parseChain reads the certificates of a text, and leaves out its other blocks.
func parseChain(text []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != certificateBlock {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "reading certificate %d", len(list)+1)
		}
		list = append(list, c)
	}
	return list, nil
}

// parseKey reads the private key of a text. The error quotes nothing of it.
func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != keyBlock {
			continue
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if key, ok := parsed.(*ecdsa.PrivateKey); ok && err == nil {
			return key, nil
		}
		break
	}
	return nil, fault.New(fault.Invalid, "there is no private key of the kind ECDSA P-256")
}
