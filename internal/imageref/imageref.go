package imageref

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

// Ref is the name of an image.
type Ref struct {
	Registry   string // the host of the image registry, with its port if it has one: "registry.example:5000"
	Repository string // "team/app"
	Tag        string // "" if there is none
	Digest     string // "sha256:…"; "" if there is none
}

// The names of Docker Hub, the default host, and its namespace for names of one
// word.
const (
	hub       = "docker.io"
	legacyHub = "index.docker.io"
	official  = "library"
)

// The limits in bytes of host and repository together, and of a tag.
const longest, longestTag = 255, 128

var grammar = sync.OnceValue(func() *regexp.Regexp {
	const (
		label     = `[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`
		host      = label + `(?:\.` + label + `)*(?::[0-9]+)?`
		component = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
		tag       = `\w[\w.-]*`
	)
	return regexp.MustCompile(`^(` + host + `)/(` + component + `(?:/` + component + `)*)(?::(` + tag + `))?(?:@(.+))?$`)
})

// identifier matches the ID of an image, which is not a name.
var identifier = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-f0-9]{64}$`) })

// Parse parses a name. The host defaults to Docker Hub.
func Parse(text string) (Ref, error) {
	if identifier().MatchString(text) {
		return Ref{}, errors.New("it is the ID of an image")
	}
	registry, rest := split(text)
	repository, _, _ := strings.Cut(rest, ":")
	repository, _, _ = strings.Cut(repository, "@")
	if repository != strings.ToLower(repository) {
		return Ref{}, fmt.Errorf("repository %q is not in lower case", repository)
	}
	found := grammar().FindStringSubmatch(registry + "/" + rest)
	if found == nil {
		return Ref{}, errors.New("it does not have the form HOST/REPOSITORY:TAG")
	}
	ref := Ref{Registry: found[1], Repository: found[2], Tag: found[3], Digest: found[4]}
	if len(ref.Name()) > longest {
		return Ref{}, fmt.Errorf("host and repository have more than %d characters", longest)
	}
	if len(ref.Tag) > longestTag {
		return Ref{}, fmt.Errorf("tag %q has more than %d characters", ref.Tag, longestTag)
	}
	if ref.Digest != "" {
		if err := digest.Digest(ref.Digest).Validate(); err != nil {
			return Ref{}, fmt.Errorf("digest %q: %w", ref.Digest, err)
		}
	}
	return ref, nil
}

// split separates the host from the rest. The first part is a host if it contains
// a dot or a port, or is localhost.
func split(text string) (registry, rest string) {
	registry, rest, ok := strings.Cut(text, "/")
	if !ok || registry != "localhost" && !strings.ContainsAny(registry, ".:") {
		registry, rest = hub, text
	}
	if registry == legacyHub {
		registry = hub
	}
	if registry == hub && !strings.Contains(rest, "/") {
		rest = official + "/" + rest
	}
	return registry, rest
}

// Name returns the name without tag and digest.
func (r Ref) Name() string { return r.Registry + "/" + r.Repository }

// String returns the whole name.
func (r Ref) String() string {
	text := r.Name()
	if r.Tag != "" {
		text += ":" + r.Tag
	}
	if r.Digest != "" {
		text += "@" + r.Digest
	}
	return text
}
