package servicedef

import (
	"path"
	"strings"

	"github.com/metacircular/mcp/internal/imageref"
)

// image checks a reference. It must be fully qualified, since what podman
// makes of a short name depends on the host, and name one release.
func (r *report) image(key, image string) {
	if image == "" {
		r.add(key, "is required")
		return
	}
	ref, err := imageref.Parse(image)
	switch {
	case err != nil:
		r.add(key, "%q is no image reference: %v", image, err)
	case !qualified(image):
		r.add(key, "%q must begin with the host of its image registry, as in %q", image, ref.String())
	case ref.Tag == "" && ref.Digest == "":
		r.add(key, "%q must end in a tag or a digest, as in %q", image, image+":v1.0.0")
	}
}

// qualified is whether the reference begins with a host, by the rule that
// every engine goes by: its first part has a dot or a port, or is localhost.
func qualified(image string) bool {
	host, _, ok := strings.Cut(image, "/")
	return ok && (strings.ContainsAny(host, ".:") || host == "localhost")
}

// pinned is whether the reference has a digest.
func pinned(image string) bool { return strings.Contains(image, "@") }

// ImageName is the last element of a reference's repository, without host,
// tag and digest; it is what [build.images] goes by.
func ImageName(image string) string {
	ref, err := imageref.Parse(image)
	if err != nil {
		return image
	}
	return path.Base(ref.Repository)
}

// ImageRegistry is the host of a reference's image registry, with its port if
// it has one.
func ImageRegistry(image string) string {
	ref, err := imageref.Parse(image)
	if err != nil {
		return image
	}
	return ref.Registry
}

// ByDigest is the reference that stands for one manifest only: image's
// repository with that digest in place of its tag. An empty digest, or an
// image that is no valid reference, gives image as it is.
func ByDigest(image, digest string) string {
	ref, err := imageref.Parse(image)
	if err != nil || digest == "" {
		return image
	}
	return ref.Name() + "@" + digest
}

// Containerfile is the file that an image of this service is built from,
// relative to Path, if the definition says how to build it.
func (s Service) Containerfile(image string) (file string, ok bool) {
	file, ok = s.Build.Images[ImageName(image)]
	return file, ok
}
