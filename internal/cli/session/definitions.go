package session

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// ServicesDir returns the services directory; having none is an error.
func (s *Session) ServicesDir() (string, error) {
	cfg, err := s.Config()
	if err != nil {
		return "", err
	}
	if cfg.Services == "" {
		return "", NoServices(cfg)
	}
	return cfg.Services, nil
}

// Definition finds the service that "SERVICE[/PART]" names in the services
// directory, and the part.
func Definition(cfg *config.Config, target string) (*servicedef.Service, string, error) {
	dir, err := Definitions(cfg)
	if err != nil {
		return nil, "", err
	}
	return DefinitionIn(dir, target)
}

// Definitions reads the services directory, and the files of the workspace that its
// definitions name.
func Definitions(cfg *config.Config) (*servicedir.Dir, error) {
	if cfg.Services == "" {
		return nil, NoServices(cfg)
	}
	dir, err := servicedir.Read(cfg.Services)
	if err != nil {
		return nil, exit.Usage(err)
	}
	return dir.WithSources(cfg.Build.SourceDir()), nil
}

// DefinitionIn finds the service that "SERVICE[/PART]" names, and the part, in a
// directory. Its other definitions may be drafts: only what is released or deployed
// can collide with it.
func DefinitionIn(dir *servicedir.Dir, target string) (*servicedef.Service, string, error) {
	name, part, _ := strings.Cut(target, "/")
	definition, err := dir.Find(name)
	if err != nil {
		return nil, "", exit.Usage(err)
	}
	return definition, part, nil
}

// DefinitionFiles lists the files of the services directory; there must be at least
// one.
func DefinitionFiles(cfg *config.Config) ([]string, error) {
	if cfg.Services == "" {
		return nil, exit.Usage(fmt.Errorf("no file given, and no services directory set; this configuration is %s", cfg.Describe()))
	}
	if _, err := os.Stat(cfg.Services); err != nil {
		return nil, exit.Usage(fmt.Errorf("read the services directory: %w", err))
	}
	files, err := filepath.Glob(filepath.Join(cfg.Services, "[^.]*.toml"))
	if err != nil {
		return nil, exit.Usage(err)
	}
	if len(files) == 0 {
		return nil, exit.Usage(fmt.Errorf("no definition in the services directory %s", cfg.Services))
	}
	return files, nil
}

// SoundDefinitions returns the valid definitions of a directory by name, and the
// problems of the others. It reads no files of the workspace.
func SoundDefinitions(dir string) (map[string]*servicedef.Service, servicedef.Errors, error) {
	read, err := servicedir.Read(dir)
	if err != nil {
		return nil, nil, err
	}
	sound, problems := read.Services()
	return sound, problems, nil
}

// NoServices returns the error of a configuration without a services directory.
func NoServices(cfg *config.Config) error {
	return exit.Usage(fmt.Errorf("no services directory: set services in mcp.toml; this configuration is %s", cfg.Describe()))
}

// ComponentNames lists the components of a definition, in its order.
func ComponentNames(s *servicedef.Service) []string {
	var names []string
	for _, c := range s.Components {
		names = append(names, c.Name)
	}
	return names
}

// ImageNames lists the images that a definition can build, sorted.
func ImageNames(s *servicedef.Service) []string {
	var names []string
	for name := range s.Build.Images {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
