package building

import "strings"

// PlatformTag returns the local name of the image for one of several platforms. The tag
// itself is that of the list, which exists in the image registry alone: podman 4.3 can
// neither list nor prune images while its storage has such a list.
func PlatformTag(tag, platform string) string {
	return tag + "_" + strings.ReplaceAll(platform, "/", "_")
}

// IsPlatformTag reports whether a name is a PlatformTag of a tag.
func IsPlatformTag(name, tag string) bool {
	rest, found := strings.CutPrefix(name, tag+"_")
	return found && strings.Contains(rest, "_") && !strings.ContainsAny(rest, "/:@")
}
