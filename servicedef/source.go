package servicedef

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Source is where an image comes from, if git knows.
type Source struct {
	// Hash is that of all that enters the build: the sources and the settings. The tag
	// has its beginning. It is "" for an image whose tag is not derived from git.
	Hash string `json:"hash,omitempty"`
	// Commit is the one that the sources were checked out from, and Subject its first
	// line, printable and bounded.
	Commit  string `json:"commit"`
	Subject string `json:"subject"`
	// Dirty is set where the sources differed from Commit.
	Dirty bool `json:"dirty,omitempty"`
}

// Short is the commit as a person reads it: "1a2b3c4d5e6f (dirty)".
func (s Source) Short() string {
	text := s.Commit[:min(12, len(s.Commit))]
	if s.Dirty {
		text += " (dirty)"
	}
	return text
}

// SourceHash returns the hash of all that enters a build: the build's settings and the
// objects, the ids of the sources in git: "" for that of the context, "file" for that of
// a Containerfile outside it, and "context NAME" for those of other contexts.
func (b ImageBuild) SourceHash(objects map[string]string) string {
	// Neither what may read a cache nor where a secret comes from changes the image.
	settings := b
	settings.Context, settings.CacheFrom, settings.CacheTo, settings.NoCache, settings.Secrets = "", nil, nil, false, nil
	if settings.Containerfile != "" && objects["file"] != "" {
		settings.Containerfile = ""
	}
	settings.Contexts = maps.Clone(b.Contexts)
	for name, value := range settings.Contexts {
		if _, isImage := ContextImage(value); !isImage {
			settings.Contexts[name] = ""
		}
	}
	text, _ := json.Marshal(struct {
		Version  int               `json:"version"`
		Settings plainBuild        `json:"settings"`
		Secrets  []string          `json:"secrets"`
		Objects  map[string]string `json:"objects"`
	}{1, plainBuild(settings), slices.Sorted(maps.Keys(b.Secrets)), objects}) // strings and a number never fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// SourceQuery names the sources of one build.
type SourceQuery struct {
	// Image is what errors call the build.
	Image string
	// Workspace is the directory that Path is relative to.
	Workspace, Path string
	Build           ImageBuild
	// Dirty accepts sources that differ from their commit.
	Dirty bool
}

// BuildSources is what git says of the sources of a build.
type BuildSources struct {
	Source
	// Created is the time of the commit, and Origin the URL of the repository that it
	// came from, without credentials; "" if there is none.
	Created time.Time
	Origin  string
	// Only reports whether a path in the build's context is part of the sources, and
	// Contexts does so for its other directories, by name.
	Only     func(path string) bool
	Contexts map[string]func(path string) bool
}

// Labels returns what an image says of its sources, by the names of the OCI image
// specification.
func (s BuildSources) Labels() map[string]string {
	if s.Commit == "" {
		return nil
	}
	revision := s.Commit
	if s.Dirty {
		revision += "-dirty"
	}
	labels := map[string]string{
		"org.opencontainers.image.revision": revision,
		"org.opencontainers.image.created":  s.Created.UTC().Format(time.RFC3339),
	}
	if s.Origin != "" {
		labels["org.opencontainers.image.source"] = s.Origin
	}
	return labels
}
