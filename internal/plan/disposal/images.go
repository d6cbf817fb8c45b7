package disposal

import (
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

const (
	// KeptReleases is how many of a service's last releases keep their images, so
	// that a rollback to one of them pulls nothing.
	KeptReleases = 5
	// FormerReleases is how many releases before those are examined. An image that
	// a node failed to prune is named again by the next commits, and a commit costs
	// the same after years.
	FormerReleases = 10
)

// StaleImages returns the images of a service's former releases that nothing needs
// any more. A reference by digest names no tag on a builder.
func StaleImages(former []fleet.FormerImage) fleet.CommitResult {
	var stale fleet.CommitResult
	for _, f := range former {
		if !f.TagUsed && !strings.Contains(f.Image, "@") {
			stale.Tags = append(stale.Tags, f.Image)
		}
		if !f.DigestUsed {
			stale.Digests = append(stale.Digests, servicedef.ByDigest(f.Image, f.Digest))
		}
	}
	return stale
}
