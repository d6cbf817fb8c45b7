package servicedef

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// ImageBuild returns how an image of this service is built, if [build.images] has it.
func (s Service) ImageBuild(image string) (b ImageBuild, ok bool) {
	b, ok = s.Build.Images[ImageName(image)]
	return b, ok
}

// ContextPath returns the build context, relative to the workspace.
func (s Service) ContextPath(b ImageBuild) string { return filepath.Join(s.Path, b.Context) }

// NeedsGit reports whether an image of the service has a tag that has to be resolved.
func (s Service) NeedsGit() bool { return len(s.GitImages()) > 0 }

// GitImages returns the references whose tags have to be resolved, one for each name in
// [build.images].
func (s Service) GitImages() []string {
	var images []string
	seen := map[string]bool{}
	add := func(image string) {
		if name := ImageName(image); HasGit(image) && !seen[name] {
			seen[name] = true
			images = append(images, image)
		}
	}
	for _, c := range s.Components {
		add(c.Image)
	}
	for _, step := range s.Steps {
		add(step.Image)
	}
	return images
}

// Resolved returns the service with the tags that git gives its images. Sources are those
// of the images whose references have GitTag, by their names in [build.images].
func (s Service) Resolved(sources map[string]Source) Service {
	resolve := func(image *string) {
		if source, found := sources[ImageName(*image)]; found && HasGit(*image) {
			*image = strings.ReplaceAll(*image, GitTag, source.Hash[:len(sampleTag)])
		}
	}
	s.Components, s.Steps = slices.Clone(s.Components), slices.Clone(s.Steps)
	for i := range s.Components {
		resolve(&s.Components[i].Image)
	}
	for i := range s.Steps {
		resolve(&s.Steps[i].Image)
	}
	s.Sources = maps.Clone(sources)
	return s
}

// Sourced returns the service with the sources of two definitions: its components have
// images of both.
func (s Service) Sourced(former, newer Service) Service {
	s.Sources = nil
	add := func(image string) {
		source := newer.Source(image)
		if source == nil {
			source = former.Source(image)
		}
		if source == nil {
			return
		}
		if s.Sources == nil {
			s.Sources = map[string]Source{}
		}
		s.Sources[ImageName(image)] = *source
	}
	for _, c := range s.Components {
		add(c.Image)
	}
	for _, step := range s.Steps {
		add(step.Image)
	}
	return s
}

// Source returns where the image of a component comes from; nil if that is not known.
func (s Service) Source(image string) *Source {
	source, found := s.Sources[ImageName(image)]
	if !found || len(source.Hash) < len(sampleTag) || !strings.Contains(image, source.Hash[:len(sampleTag)]) {
		return nil
	}
	return &source
}
