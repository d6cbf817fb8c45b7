package local

import (
	"errors"
	"maps"
	"slices"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/collisions"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// defined is what the checks need of the services directory.
type defined struct {
	finding finding
	// nodes are those of the definitions, and images one for each image registry.
	nodes, images []string
	// builds reports whether a definition has an image to build.
	builds bool
	// places are where edges are to serve the services, by service.
	places map[string][]servicedef.Place
}

// readDefined reads the services directory, and checks it.
func readDefined(cfg *config.Config) defined {
	const check = "services"
	if cfg.Services == "" {
		return defined{finding: warn(check, "set services in mcp.toml", "no services directory is set")}
	}
	services, problems, err := soundDefinitions(cfg.Services)
	d := defined{places: map[string][]servicedef.Place{}}
	registries := map[string]bool{}
	files := map[string]bool{}
	for _, s := range services {
		files[s.File] = true
		d.builds = d.builds || len(s.Build.Images) > 0
		for _, c := range s.Components {
			for _, r := range c.Routes {
				d.places[s.Name] = append(d.places[s.Name], r.Places()...)
			}
			d.nodes = append(d.nodes, c.Node)
			if host := servicedef.ImageRegistry(c.Image); !registries[host] {
				registries[host] = true
				d.images = append(d.images, c.Image)
			}
		}
	}
	slices.Sort(d.nodes)
	slices.Sort(d.images)
	d.nodes = slices.Compact(d.nodes)
	if err == nil {
		problems = append(problems, collisionsOf(services)...)
	}
	switch {
	case err != nil:
		d.finding = fail(check, fault.Translate(fault.Invalid, err).WithHint("create it, or correct services in mcp.toml"))
	case len(problems) > 0:
		d.finding = fail(check, fault.New(fault.Invalid, "%s: %s, and\n%v", cfg.Services, ui.Counted(len(files), "definition"), problems).WithHint("correct them: mcp service edit SERVICE"))
	case len(services) == 0:
		d.finding = warn(check, "write one: mcp service new NAME", "%s holds no definition", cfg.Services)
	default:
		d.finding = ok(check, "%s: %s", cfg.Services, ui.Counted(len(files), "definition"))
	}
	return d
}

// soundDefinitions returns the valid services of a directory, with those of environments,
// and the problems of the other files.
func soundDefinitions(dir string) (map[string]*servicedef.Service, servicedef.Errors, error) {
	read, err := servicedir.Read(dir)
	if err != nil {
		return nil, nil, err
	}
	_, problems := read.Services()
	return read.All(), problems, nil
}

// collisionsOf finds names that two of the definitions share, as service check does.
func collisionsOf(services map[string]*servicedef.Service) servicedef.Errors {
	var list []*servicedef.Service
	for _, name := range slices.Sorted(maps.Keys(services)) {
		list = append(list, services[name])
	}
	var problems servicedef.Errors
	_ = errors.As(collisions.Containers(list), &problems) // it returns no other error
	return problems
}
