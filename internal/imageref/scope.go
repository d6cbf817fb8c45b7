package imageref

import (
	"errors"
	"fmt"
	"strings"
)

// CheckScope fails if no image's name can begin with a scope: an image
// registry, or the beginning of a name such as "registry.example:5000/shop".
func CheckScope(scope string) error {
	host, rest, _ := strings.Cut(scope, "/")
	if host != "localhost" && !strings.ContainsAny(host, ".:") {
		return errors.New("must begin with the host of an image registry, such as registry.example:5000")
	}
	if rest == "" {
		rest = "image"
	}
	ref, err := Parse(host + "/" + rest)
	switch {
	case err != nil:
		return fmt.Errorf("must be an image registry, or the beginning of an image's name: %w", err)
	case ref.Tag != "" || ref.Digest != "":
		return errors.New("must be a name without tag and digest")
	case strings.HasSuffix(scope, "/"):
		return errors.New("must not end with a slash")
	case ref.Registry != host:
		return fmt.Errorf("must be written as %s, as in an image's full name", strings.Replace(scope, host, ref.Registry, 1))
	}
	return nil
}
