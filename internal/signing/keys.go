package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

// PublicKey checks signatures.
type PublicKey struct {
	// Fingerprint is the SHA-256 of the key, in hex.
	Fingerprint string
	verifier    signature.Verifier
}

// ParsePublicKey reads a public key in PEM, such as cosign.pub.
func ParsePublicKey(text []byte) (PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return PublicKey{}, errors.New("it is not a public key in PEM, such as cosign.pub")
	}
	// Podman reads the first key of a file and ignores the others.
	if len(bytes.TrimSpace(rest)) > 0 {
		return PublicKey{}, errors.New("it has more than one key: give each its own file")
	}
	if isPrivate(block.Type) {
		return PublicKey{}, errors.New("it is a private key; the public one is wanted")
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey(text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("it is not a public key in PEM, such as cosign.pub: %w", err)
	}
	return newPublicKey(key)
}

func newPublicKey(key crypto.PublicKey) (PublicKey, error) {
	verifier, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return PublicKey{}, fmt.Errorf("use the key: %w", err)
	}
	encoded, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("use the key: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return PublicKey{Fingerprint: hex.EncodeToString(sum[:]), verifier: verifier}, nil
}

// The types of a PEM block with a private key that cosign encrypted; the first is that of
// old versions, and the one that all versions read.
const (
	cosignKey   = "ENCRYPTED COSIGN PRIVATE KEY"
	sigstoreKey = "ENCRYPTED SIGSTORE PRIVATE KEY"
)

func isPrivate(kind string) bool {
	return kind == cosignKey || kind == sigstoreKey || kind == "PRIVATE KEY"
}

// ErrPassphrase means that a passphrase does not open a key.
var ErrPassphrase = errors.New("the passphrase is wrong")

// Signer signs images with a private key.
type Signer struct {
	public PublicKey
	signer signature.Signer
}

// ParseSigner reads a private key as cosign generate-key-pair writes it: encrypted by a
// passphrase, which may be empty.
func ParseSigner(text, passphrase []byte) (*Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != cosignKey && block.Type != sigstoreKey {
		return nil, fmt.Errorf("it is not a private key of cosign, whose file begins with -----BEGIN %s-----", sigstoreKey)
	}
	encoded, err := encrypted.Decrypt(block.Bytes, passphrase)
	if err != nil {
		return nil, ErrPassphrase // that is all that its errors mean, if the file is whole
	}
	key, err := x509.ParsePKCS8PrivateKey(encoded)
	if err != nil {
		return nil, fmt.Errorf("read the decrypted key: %w", err)
	}
	return newSigner(key)
}

func newSigner(key crypto.PrivateKey) (*Signer, error) {
	var public crypto.PublicKey
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		public = key.Public()
	case *rsa.PrivateKey:
		public = key.Public()
	case ed25519.PrivateKey:
		public = key.Public()
	default:
		return nil, fmt.Errorf("keys of type %T cannot sign images", key)
	}
	signer, err := signature.LoadSigner(key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("use the key: %w", err)
	}
	checked, err := newPublicKey(public)
	return &Signer{public: checked, signer: signer}, err
}

// Public returns the key that checks what the signer signs.
func (s *Signer) Public() PublicKey { return s.public }

// Sign signs an image.
func (s *Signer) Sign(image name.Digest) (Signature, error) {
	text, err := json.Marshal(payload.Cosign{Image: image})
	if err != nil {
		return Signature{}, fmt.Errorf("describe %s: %w", image, err)
	}
	raw, err := s.signer.SignMessage(bytes.NewReader(text))
	if err != nil {
		return Signature{}, fmt.Errorf("sign %s: %w", image, err)
	}
	return Signature{Payload: text, Text: base64.StdEncoding.EncodeToString(raw)}, nil
}
