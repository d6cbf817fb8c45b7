package imageregistry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/signing"
)

// The bounds of what an image registry may answer: signatures of one image, bytes of
// their manifest, images of one list.
const (
	maxSignatures = 64
	maxManifest   = 1 << 20
	maxInstances  = 64
)

// CheckSignature returns the key that has signed an image, which is given by its digest.
// The error is one of package signing's reasons if none of the keys has, else a
// *fault.Error.
func (c *Client) CheckSignature(ctx context.Context, image string, keys []signing.PublicKey) (signing.PublicKey, error) {
	ref, err := c.digestOf(image)
	if err != nil {
		return signing.PublicKey{}, err
	}
	found, err := c.signatures(ctx, image, ref)
	if err != nil {
		return signing.PublicKey{}, err
	}
	return signing.Check(ref, found.list, keys)
}

// Sign signs an image, which is given by its digest, and, if it is a list, each image in
// it, of which engines pull one. What the key has signed already stays as it is. It
// returns how many signatures it has added.
func (c *Client) Sign(ctx context.Context, image string, signer *signing.Signer) (added int, err error) {
	ref, err := c.digestOf(image)
	if err != nil {
		return 0, err
	}
	all, err := c.instances(ctx, image, ref)
	if err != nil {
		return 0, err
	}
	for _, one := range append([]name.Digest{ref}, all...) {
		n, err := c.signOne(ctx, image, one, signer)
		added += n
		if err != nil {
			return added, err
		}
	}
	return added, nil
}

func (c *Client) digestOf(image string) (name.Digest, error) {
	ref, err := c.hosts.parse(image)
	if err != nil {
		return name.Digest{}, fault.Wrap(fault.Invalid, err, "parse image reference %q", image)
	}
	byDigest, ok := ref.(name.Digest)
	if !ok {
		return name.Digest{}, fault.New(fault.Invalid, "image %s is not given by its digest", image)
	}
	return byDigest, nil
}

// instances returns the images of a list; none for an image.
func (c *Client) instances(ctx context.Context, image string, ref name.Digest) ([]name.Digest, error) {
	var list []name.Digest
	err := c.ask(ctx, image, ref, func(options ...remote.Option) error {
		found, err := remote.Get(ref, options...)
		if err != nil || !found.MediaType.IsIndex() {
			return err
		}
		var index v1.IndexManifest
		if err := json.Unmarshal(found.Manifest, &index); err != nil {
			return fault.Wrap(fault.Invalid, err, "read the list of images %s", image)
		}
		if len(index.Manifests) > maxInstances {
			return fault.New(fault.Invalid, "image %s is a list of %d images, more than %d", image, len(index.Manifests), maxInstances)
		}
		for _, m := range index.Manifests {
			list = append(list, ref.Context().Digest(m.Digest.String()))
		}
		return nil
	})
	return list, err
}

// signTries bounds the attempts to add a signature, which another signer's write may
// undo: an image registry has no way to add to a tag.
const signTries = 3

func (c *Client) signOne(ctx context.Context, image string, ref name.Digest, signer *signing.Signer) (added int, err error) {
	keys, tag := []signing.PublicKey{signer.Public()}, signatureTag(ref)
	for range signTries {
		signed := false
		// One request, because reading the tag continues while it is written.
		err := c.ask(ctx, image, tag, func(options ...remote.Option) error {
			found, err := read(tag, options)
			if err != nil {
				return err
			}
			if _, err := signing.Check(ref, found.list, keys); err == nil {
				signed = true
				return nil
			}
			made, err := signer.Sign(ref)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "sign image %s", image)
			}
			return attach(tag, found.image, made, options)
		})
		if err != nil || signed {
			return added, err
		}
		added = 1
	}
	return added, fault.New(fault.Unavailable, "sign image %s: the image registry does not keep the signature, or others write to tag %s", image, tag.TagStr())
}

// signatureTag returns the tag under which cosign, podman and skopeo keep an image's
// signatures.
func signatureTag(ref name.Digest) name.Tag {
	return ref.Context().Tag(strings.Replace(ref.DigestStr(), ":", "-", 1) + ".sig")
}

// kept are the signatures in an image registry.
type kept struct {
	image v1.Image // nil if there are none
	list  []signing.Signature
}

// signatures reads the signatures of an image. It is no error if there are none.
func (c *Client) signatures(ctx context.Context, image string, ref name.Digest) (found kept, err error) {
	tag := signatureTag(ref)
	err = c.ask(ctx, image, tag, func(options ...remote.Option) error {
		found, err = read(tag, options)
		return err
	})
	return found, err
}

func isNotFound(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && aboutManifest(answer)
}

func read(tag name.Tag, options []remote.Option) (kept, error) {
	found := kept{}
	answer, err := remote.Get(tag, options...)
	if isNotFound(err) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	if answer.MediaType != types.OCIManifestSchema1 || len(answer.Manifest) > maxManifest {
		return found, fault.New(fault.Invalid, "%s does not hold signatures: it has %d bytes of type %s", tag, len(answer.Manifest), answer.MediaType)
	}
	image, err := answer.Image()
	if err != nil {
		return found, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return found, fault.Wrap(fault.Invalid, err, "read the signatures %s", tag)
	}
	if len(manifest.Layers) > maxSignatures {
		return found, fault.New(fault.Invalid, "%s holds %d signatures, more than %d", tag, len(manifest.Layers), maxSignatures).
			WithHint("remove the tag from the image registry, and sign the image again")
	}
	found.image = image
	for _, layer := range manifest.Layers {
		text, ok := layer.Annotations[signing.Annotation]
		if string(layer.MediaType) != signing.MediaType || !ok || layer.Size > signing.MaxPayload {
			continue // an attestation, or another attachment
		}
		payload, err := readPayload(tag.Context().Digest(layer.Digest.String()), options)
		if err != nil {
			return found, err
		}
		found.list = append(found.list, signing.Signature{Payload: payload, Text: text})
	}
	return found, nil
}

// readPayload reads a blob, whose digest the client compares.
func readPayload(ref name.Digest, options []remote.Option) ([]byte, error) {
	layer, err := remote.Layer(ref, options...)
	if err != nil {
		return nil, err
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, signing.MaxPayload+1))
	if err == nil && len(text) > signing.MaxPayload {
		err = fmt.Errorf("signature %s has more than %d bytes", ref, signing.MaxPayload)
	}
	return text, err
}

// attach adds a signature to those of an image.
func attach(tag name.Tag, base v1.Image, s signing.Signature, options []remote.Option) error {
	if base == nil {
		base = mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	all, err := mutate.Append(base, mutate.Addendum{
		Layer:       static.NewLayer(s.Payload, signing.MediaType),
		Annotations: map[string]string{signing.Annotation: s.Text},
	})
	if err == nil {
		err = remote.Write(tag, all, options...)
	}
	if err != nil {
		return fmt.Errorf("push the signature %s: %w", tag, err)
	}
	return nil
}
