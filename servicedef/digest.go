package servicedef

import (
	"go.podman.io/image/v5/docker/reference"
)

// ByDigest is the reference that stands for one manifest only: image's
// repository with that digest in place of its tag. An empty digest, or an
// image that is no valid reference, gives image as it is.
func ByDigest(image, digest string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil || digest == "" {
		return image
	}
	return named.Name() + "@" + digest
}
