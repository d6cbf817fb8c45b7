package workers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/signing"
	"github.com/metacircular/mcp/servicedef"
)

// Signing is the private key that signs images.
type Signing struct {
	// KeyFile is a file as cosign writes it; "" for no key.
	KeyFile string
	// Passphrase opens the key.
	Passphrase []byte
}

// signer returns nil if there is no key.
func (s Signing) signer(o imageregistry.Options) (onbuilder.Signer, error) {
	if s.KeyFile == "" {
		return nil, nil
	}
	signer, err := s.read()
	if err != nil {
		return nil, err
	}
	o.Timeout = signatureTime
	return registrySigner{imageregistry.New(o), signer}, nil
}

func (s Signing) read() (*signing.Signer, error) {
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read the key that signs images").
			WithHint("correct [build] signing_key_file in mcp.toml")
	}
	signer, err := signing.ParseSigner(text, s.Passphrase)
	switch {
	case errors.Is(err, signing.ErrPassphrase):
		return nil, fault.Wrap(fault.Invalid, err, "read the key %s that signs images", s.KeyFile).
			WithHint("correct [build] signing_passphrase_file in mcp.toml, or COSIGN_PASSWORD")
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "read the key %s that signs images", s.KeyFile).
			WithHint("make one: mcp build key, or cosign generate-key-pair")
	}
	return signer, nil
}

// signatureTime bounds the reading and the writing of an image's signatures, each of which
// takes several requests.
const signatureTime = 30 * time.Second

// SignImage signs an image, which may be given by its tag, and returns its reference by
// digest and how many signatures were added. Options name the image registries as in
// LookUp.
func SignImage(ctx context.Context, image string, s Signing, insecure []string, authFile string) (byDigest string, added int, err error) {
	signer, err := s.read()
	if err != nil {
		return "", 0, err
	}
	registry := imageregistry.New(imageregistry.Options{Insecure: insecure, AuthFile: authFile, Place: "this host", Timeout: signatureTime})
	digest, err := registry.Digest(ctx, image)
	if err != nil {
		return "", 0, err
	}
	byDigest = servicedef.ByDigest(image, digest)
	added, err = registry.Sign(ctx, byDigest, signer)
	return byDigest, added, err
}

// registrySigner signs images where they are.
type registrySigner struct {
	registry *imageregistry.Client
	signer   *signing.Signer
}

// Sign implements onbuilder.Signer.
func (s registrySigner) Sign(ctx context.Context, image string) error {
	_, err := s.registry.Sign(ctx, image, s.signer)
	return err
}

// signatures returns nil if the node requires none. It reads the keys, so that a wrong
// file is an error at once.
func (r *Node) signatures() (onnode.Signatures, error) {
	if len(r.Signed) == 0 {
		return nil, nil
	}
	for scope, files := range r.Signed {
		if _, err := signing.ReadKeys(files); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "require signatures of %s", scope).WithHint("%s", requirementHint)
		}
	}
	accepted := &signing.Accepted{}
	if r.Data != "" {
		accepted.Path = filepath.Join(r.Data, "signatures", r.Name+".json")
	}
	registry := imageregistry.New(imageregistry.Options{Insecure: r.Insecure, AuthFile: r.AuthFile, Place: "host of node " + r.Name, Timeout: signatureTime})
	return nodeSignatures{required: r.Signed, registry: registry, accepted: accepted}, nil
}

const requirementHint = "correct [image_registry.require_signature] in the node's mcp.toml"

// nodeSignatures checks the signatures of a node's images. Podman checks them too, if its
// own policy requires it; but only when it pulls, where no caller of its API can choose the
// policy or learn which one it has, and before version 5 with only one key.
type nodeSignatures struct {
	required signing.Requirements
	registry *imageregistry.Client
	accepted *signing.Accepted
}

// Check implements onnode.Signatures. It reads the keys each time, so that a changed
// file counts at once.
func (s nodeSignatures) Check(ctx context.Context, image string, present bool) error {
	scope, files := s.required.For(image)
	if scope == "" {
		return nil
	}
	keys, err := signing.ReadKeys(files)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "check the signature of image %s", image).WithHint("%s", requirementHint)
	}
	if present && s.accepted.Has(image, keys) {
		return nil
	}
	key, err := s.registry.CheckSignature(ctx, image, keys)
	var failed *fault.Error
	switch {
	case err == nil:
		s.accepted.Add(image, key)
		return nil
	case errors.As(err, &failed), ctx.Err() != nil:
		return err
	}
	return fault.Wrap(fault.Invalid, err, "image %s is refused, because image registry %s requires a signature by %s", image, scope, oneOf(files)).
		WithHint("sign it where the private key is: mcp build sign %s (or cosign sign --key KEY --recursive); or %s", image, requirementHint)
}

func oneOf(files []string) string {
	if len(files) == 1 {
		return "the key " + files[0]
	}
	return "one of the keys " + strings.Join(files, ", ")
}

// NewSigningKey writes a new key, encrypted with the passphrase, to a file that does not
// exist yet, and its public half to a file beside it, with the ending .pub, whose name it
// returns.
func NewSigningKey(file string, passphrase []byte) (public string, err error) {
	private, text, err := signing.Generate(passphrase)
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "make a key")
	}
	public = strings.TrimSuffix(file, filepath.Ext(file)) + ".pub"
	if public == file {
		return "", fault.New(fault.Invalid, "make a key: %s is the name of the public half", file)
	}
	for _, f := range []struct {
		path string
		text []byte
		mode os.FileMode
	}{{file, private, 0o600}, {public, text, 0o644}} {
		if err := writeNew(f.path, f.text, f.mode); err != nil {
			return "", fault.Wrap(fault.Invalid, err, "write the new key").WithHint("choose another name: no key is overwritten")
		}
	}
	return public, nil
}

func writeNew(path string, text []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
