package service

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/servicedef"
)

// checked is one entry of mcp service check --json.
type checked struct {
	File     string            `json:"file"`
	Service  string            `json:"service,omitempty"`
	OK       bool              `json:"ok"`
	Problems servicedef.Errors `json:"problems"`
	parsed   *servicedef.Service
}

func newCheck(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE…]",
		Short: "Report everything that is wrong with service definitions",
		Long: `Check reports everything that is wrong with service definitions, with file,
line and key. It also finds container names, host ports and hostnames that
collide, among the files and with the other services of the services directory.
Without a file it checks that whole directory. It needs no other part of mcp.`,
		Example: "  mcp service check\n  mcp service check shop.toml --json",
		RunE:    func(_ *cobra.Command, files []string) error { return runCheck(s, files) },
	}
}

func runCheck(s *session.Session, files []string) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		if files, err = session.DefinitionFiles(cfg); err != nil {
			return err
		}
	}
	list := make([]*checked, 0, len(files))
	for _, file := range files {
		list = append(list, checkFile(file, cfg.Build.SourceDir()))
	}
	checkTogether(list, cfg.Services)
	return showChecked(s, list)
}

// checkFile checks one file alone, and the files of the workspace that it names.
func checkFile(file, workspace string) *checked {
	c := &checked{File: file, Problems: servicedef.Errors{}}
	service, err := servicedef.Load(file)
	if err == nil {
		service, err = service.ReadSources(workspace)
	}
	if err == nil {
		c.Service, c.parsed = service.Name, service
	} else if !errors.As(err, &c.Problems) {
		c.Problems = servicedef.Errors{{File: file, Message: err.Error()}}
	}
	return c
}

// checkTogether finds names, host ports and endpoints that are taken twice: by two of the
// files, or by a file and the definition of another service in the directory.
func checkTogether(list []*checked, dir string) {
	byFile, byName := map[string]*checked{}, map[string]*checked{}
	var given []*servicedef.Service
	for _, c := range list {
		if c.parsed == nil {
			continue
		}
		if other, taken := byName[c.Service]; taken {
			c.Problems = append(c.Problems, servicedef.Problem{
				File: c.File, Key: "name", Message: fmt.Sprintf("%s defines service %s too", other.File, c.Service),
			})
			continue
		}
		byFile[c.File], byName[c.Service] = c, c
		given = append(given, c.parsed)
	}
	// The problems of the directory's other definitions are not reported, and a file
	// given for a service replaces the one there.
	others, _, _ := session.SoundDefinitions(dir)
	all := slices.DeleteFunc(slices.Collect(maps.Values(others)), func(s *servicedef.Service) bool { return byName[s.Name] != nil })
	all = append(all, given...)
	for _, err := range []error{servicedef.Collisions(all), servicedef.PortCollisions(all), servicedef.EndpointCollisions(all)} {
		var collisions servicedef.Errors
		errors.As(err, &collisions)
		for _, p := range collisions {
			if c := byFile[p.File]; c != nil {
				c.Problems = append(c.Problems, p)
			}
		}
	}
}

// showChecked shows the problems, and returns the exit code.
func showChecked(s *session.Session, list []*checked) error {
	bad := false
	for _, c := range list {
		c.OK = len(c.Problems) == 0
		bad = bad || !c.OK
		switch {
		case s.JSON:
		case c.OK:
			_, _ = fmt.Fprintf(s.Stdout, "OK %s: service %s on %s, components %v\n", c.File, c.Service, c.parsed.Node, session.ComponentNames(c.parsed))
		default:
			_, _ = fmt.Fprintln(s.Stdout, c.Problems)
		}
	}
	if s.JSON {
		s.PrintJSON(list)
	}
	if bad {
		return exit.BadUsage
	}
	return nil
}
