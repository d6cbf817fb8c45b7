package signing

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

// MediaType is that of a payload in an image registry, and Annotation the name under
// which its signature is stored beside it.
const (
	MediaType  = "application/vnd.dev.cosign.simplesigning.v1+json"
	Annotation = "dev.cosignproject.cosign/signature"
)

// MaxPayload bounds a payload, in bytes: cosign's have a few hundred.
const MaxPayload = 64 << 10

// Signature is one signature of an image. Whoever may write to the image registry may
// have made it.
type Signature struct {
	Payload []byte
	// Text is the signature of the payload, in base64.
	Text string
}

// Reasons why an image has no valid signature.
var (
	ErrUnsigned   = errors.New("it has no signature")
	ErrOtherKey   = errors.New("its signature is by another key")
	ErrOtherImage = errors.New("its signature is of another image")
)

// Check returns the key that signed the image, given by its digest. The error is one of
// the reasons above.
func Check(image name.Digest, signatures []Signature, keys []PublicKey) (PublicKey, error) {
	reason := ErrUnsigned
	for _, s := range signatures {
		key, err := check(image, s, keys)
		if err == nil {
			return key, nil
		}
		// What a trusted key has signed says more than what a stranger's has.
		if errors.Is(reason, ErrUnsigned) || errors.Is(reason, ErrOtherKey) {
			reason = err
		}
	}
	return PublicKey{}, reason
}

func check(image name.Digest, s Signature, keys []PublicKey) (PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(s.Text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: it is not base64", ErrOtherKey)
	}
	for _, key := range keys {
		if key.verifier.VerifySignature(bytes.NewReader(raw), bytes.NewReader(s.Payload)) == nil {
			return key, describes(s.Payload, image)
		}
	}
	return PublicKey{}, ErrOtherKey
}

// describes checks what a payload that a trusted key has signed says. The tag that it may
// have does not count: images run by their digests.
func describes(text []byte, image name.Digest) error {
	var signed payload.Cosign
	if err := json.Unmarshal(text, &signed); err != nil {
		return fmt.Errorf("%w: %w", ErrOtherImage, err)
	}
	if signed.Image.DigestStr() != image.DigestStr() || signed.Image.Repository.Name() != image.Repository.Name() {
		return fmt.Errorf("%w: %s@%s", ErrOtherImage, signed.Image.Repository.Name(), signed.Image.DigestStr())
	}
	return nil
}
