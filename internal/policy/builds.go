package policy

import (
	"path"
	"slices"
)

// BuildSubject is a build to judge.
type BuildSubject struct {
	// Image is the reference that the result gets, and Bases are the images that it is made
	// from, as far as they are known.
	Image string
	Bases []string
	// Unknown are images in the Containerfile whose names are not known before the build.
	Unknown []string
	// SecretFiles are absolute paths of its secrets, by their ids, and SecretEnvironment
	// names of variables.
	SecretFiles, SecretEnvironment map[string]string
	// Host finds what paths lead to.
	Host func(path string) Place
}

// JudgeBuild returns every rule that a build would break.
func (p Policy) JudgeBuild(b BuildSubject) []Violation {
	j := &judgement{Policy: p}
	switch {
	case p.Problem != "":
		j.add("", "", "%s", p.unusable())
		return j.found
	case !p.Builds.Allowed:
		j.add("", "builds.allowed", "no image may be built here")
		return j.found
	}
	for _, image := range slices.Concat([]string{b.Image}, b.Bases) {
		if !p.mayCome(image) {
			j.add("build.images", "images.registries", "%s is not of %s", image, listed(p.Images.Registries))
		}
	}
	if len(b.Unknown) > 0 && !slices.Contains(p.Images.Registries, "*") {
		j.add("build.images", "images.registries", "%s stands for an image that is not known before the build, and so not of %s", b.Unknown[0], listed(p.Images.Registries))
	}
	for _, id := range sorted(b.SecretFiles) {
		j.secretFile("build.images.secrets."+id, b.SecretFiles[id], b.Host)
	}
	for _, id := range sorted(b.SecretEnvironment) {
		if name := b.SecretEnvironment[id]; !matchesAny(p.Builds.SecretEnvironment, name) || ownVariable(name) && !slices.Contains(p.Builds.SecretEnvironment, name) {
			j.add("build.images.secrets."+id, "builds.secret_environment", "the variable %s is not of %s", name, listed(p.Builds.SecretEnvironment))
		}
	}
	return j.found
}

// secretFile judges a file that a build would have as a secret.
func (j *judgement) secretFile(key, file string, host func(string) Place) {
	if climbs(file) {
		j.add(key, "builds.secret_files", `%s has an element ".."`, file)
		return
	}
	file = path.Clean(file)
	place := Place{Path: file}
	if host != nil {
		place = host(file)
	}
	allowed := slices.ContainsFunc(j.Builds.SecretFiles, func(root string) bool {
		root = path.Clean(root)
		return contains(root, place.Path) || host != nil && contains(host(root).Path, place.Path)
	})
	switch {
	case allowed:
	case place.Path != file:
		j.add(key, "builds.secret_files", "%s, which leads to %s, is not below %s", file, place.Path, listed(j.Builds.SecretFiles))
	default:
		j.add(key, "builds.secret_files", "%s is not below %s", file, listed(j.Builds.SecretFiles))
	}
}

// ownVariable reports whether a variable is one of mcp's, Temporal's or Postgres', which no
// pattern matches: it must be named.
func ownVariable(name string) bool { return matchesAny([]string{"MCP_*", "TEMPORAL_*", "PG*"}, name) }
