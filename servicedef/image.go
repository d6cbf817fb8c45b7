package servicedef

import (
	"path"
	"strings"

	"github.com/metacircular/mcp/internal/imageref"
)

// GitTag stands in the tag of an image for the hash of the image's sources.
const GitTag = "{git}"

// sampleTag has the form of what replaces GitTag.
const sampleTag = "0123456789abcdef"

// HasGit reports whether the tag of an image's reference has to be resolved.
func HasGit(image string) bool { return strings.Contains(image, GitTag) }

// qualified reports whether the reference begins with a host, by the rule of all
// engines: its first part contains a dot or a port, or is localhost.
func qualified(image string) bool {
	host, _, ok := strings.Cut(image, "/")
	return ok && (strings.ContainsAny(host, ".:") || host == "localhost")
}

// pinned reports whether the reference has a digest.
func pinned(image string) bool { return strings.Contains(image, "@") }

// ImageName returns the last element of a reference's repository, without host,
// tag and digest. It is the key of the image in [build.images].
func ImageName(image string) string {
	ref, err := imageref.Parse(strings.ReplaceAll(image, GitTag, sampleTag))
	if err != nil {
		return image
	}
	return path.Base(ref.Repository)
}

// ImageRegistry returns the host of a reference's image registry, with its port
// if it has one.
func ImageRegistry(image string) string {
	ref, err := imageref.Parse(strings.ReplaceAll(image, GitTag, sampleTag))
	if err != nil {
		return image
	}
	return ref.Registry
}

// ByDigest returns the reference of one manifest: image's repository with the
// digest in place of its tag. It returns image unchanged if the digest is empty or
// image is not a valid reference.
func ByDigest(image, digest string) string {
	ref, err := imageref.Parse(image)
	if err != nil || digest == "" {
		return image
	}
	return ref.Name() + "@" + digest
}

// DigestOf returns the digest in an image's reference; "" if it has none.
func DigestOf(image string) string {
	ref, err := imageref.Parse(image)
	if err != nil {
		return ""
	}
	return ref.Digest
}

// image checks a reference. It must be fully qualified, because podman resolves a
// short name by the configuration of the host, and have a tag or a digest.
func (r *report) image(key, image string) {
	if image == "" {
		r.add(key, "is required")
		return
	}
	image = r.gitTags(key, image)
	ref, err := imageref.Parse(image)
	switch {
	case err != nil:
		r.add(key, "%q is not an image reference: %v", image, err)
	case !qualified(image):
		r.add(key, "%q must begin with the host of its image registry, as in %q", image, ref.String())
	case ref.Tag == "" && ref.Digest == "":
		r.add(key, "%q must end in a tag or a digest, as in %q", image, image+":v1.0.0")
	}
}

// gitTags checks the use of {git} in an image's reference, and returns the reference
// with a tag in its place.
func (r *report) gitTags(key, image string) string {
	if !strings.ContainsAny(image, "{}") {
		return image
	}
	before, after, _ := strings.Cut(image, GitTag)
	name, tag, tagged := strings.Cut(before[strings.LastIndex(before, "/")+1:], ":")
	switch {
	case strings.ContainsAny(before+after, "{}"):
		r.add(key, "%q has braces; only %s may stand in a tag, once", image, GitTag)
	case !tagged || name == "" || strings.Contains(tag+after, "@"):
		r.add(key, "%s must stand in the tag, as in %q", GitTag, "registry.example/shop:"+GitTag)
	}
	return strings.ReplaceAll(image, GitTag, sampleTag)
}
