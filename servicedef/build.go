package servicedef

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// Build maps an image's name, the last element of its repository, to how it is built.
type Build struct {
	Images map[string]ImageBuild `toml:"images" json:"images,omitempty"`
}

// ImageBuild is how one image is built. A build that has only a Containerfile is a string in
// TOML and in JSON.
type ImageBuild struct {
	// Containerfile is relative to Context; "" means Containerfile there, or Dockerfile.
	Containerfile string `toml:"containerfile" json:"containerfile,omitempty"`
	// Context is the directory that is sent to the engine, relative to Service.Path; ""
	// means that directory itself.
	Context string `toml:"context" json:"context,omitempty"`
	// Args are values of the Containerfile's ARG instructions. They are recorded, and the
	// image's history may show them.
	Args map[string]string `toml:"args" json:"args,omitempty"`
	// Target is the stage to build; "" means the last.
	Target string `toml:"target" json:"target,omitempty"`
	// Secrets are what RUN --mount=type=secret,id=ID may read, by id.
	Secrets map[string]BuildSecret `toml:"secrets" json:"secrets,omitempty"`
	// SSH is refused: podman's API cannot forward an agent.
	SSH []string `toml:"ssh" json:"ssh,omitempty"`
	// Platforms are "os/arch[/variant]"; none means the builder's own. Several make one
	// image for each and a list of them.
	Platforms []string `toml:"platforms" json:"platforms,omitempty"`
	// Contexts are what COPY --from=NAME may read besides stages, by name: directories
	// relative to Service.Path, or images as "docker-image://REFERENCE".
	Contexts map[string]string `toml:"contexts" json:"contexts,omitempty"`
	// CacheFrom and CacheTo are repositories in image registries that hold layers of
	// former builds.
	CacheFrom []string `toml:"cache_from" json:"cache_from,omitempty"`
	CacheTo   []string `toml:"cache_to" json:"cache_to,omitempty"`
	// Labels are added to those of the Containerfile, and to those that mcp derives from
	// git.
	Labels map[string]string `toml:"labels" json:"labels,omitempty"`
	// NoCache runs every step again.
	NoCache bool `toml:"no_cache" json:"no_cache,omitempty"`
}

// BuildSecret is where the builder reads a secret of a build. One of its fields is set.
type BuildSecret struct {
	// Secret is the name of one of the service's own secrets, which is sealed to the builder.
	Secret string `toml:"secret" json:"secret,omitempty"`
	// File is an absolute path on the builder, or one relative to Service.Path.
	File string `toml:"file" json:"file,omitempty"`
	// Environment is a variable of the builder.
	Environment string `toml:"environment" json:"environment,omitempty"`
}

// imageContext begins the value of a context that is an image.
const imageContext = "docker-image://"

// ContextImage returns the reference of a value of ImageBuild.Contexts; ok is false if it
// is a directory.
func ContextImage(value string) (image string, ok bool) {
	return strings.CutPrefix(value, imageContext)
}

// plainBuild has the fields of an ImageBuild, without its methods.
type plainBuild ImageBuild

// MarshalJSON encodes a build with only a Containerfile as a string, so that its definition
// has the hash that it had when a build had nothing else.
func (b ImageBuild) MarshalJSON() ([]byte, error) {
	if file, ok := b.simple(); ok {
		return json.Marshal(file)
	}
	return json.Marshal(plainBuild(b))
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (b *ImageBuild) UnmarshalJSON(text []byte) error {
	if !bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, (*plainBuild)(b))
	}
	*b = ImageBuild{}
	return json.Unmarshal(text, &b.Containerfile)
}

// simple returns the Containerfile of a build that has nothing else.
func (b ImageBuild) simple() (file string, ok bool) {
	alone := ImageBuild{Containerfile: b.Containerfile}
	return b.Containerfile, b.Containerfile != "" && reflect.DeepEqual(b, alone)
}

// OwnSecrets returns the names that the build gives to the service's own secrets, sorted,
// each once.
func (b ImageBuild) OwnSecrets() []string {
	var names []string
	for _, source := range b.Secrets {
		if source.Secret != "" {
			names = append(names, source.Secret)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
