package session

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/spelling"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// NamesService reports whether a word of a Use line is a service: "SERVICE",
// "SERVICE[/COMPONENT]…".
func NamesService(word string) bool { return strings.HasPrefix(word, "SERVICE") }

// InEnvironment returns the arguments of a verb with its services as they are in the
// environment: "shop-staging/api" for "shop/api". Words are those of the Use line. If the
// verb takes any number of services and none is given, they are all that have the
// environment.
func (s *Session) InEnvironment(words, args []string) ([]string, error) {
	if !servicedef.IsLabel(s.Environment) {
		return nil, exit.Usage(fmt.Errorf("--env must be the name of an environment, such as staging, not %q", s.Environment))
	}
	cfg, err := s.Config()
	if err != nil {
		return nil, err
	}
	inside := slices.Clone(args)
	for i, arg := range args {
		if word := words[min(i, len(words)-1)]; i < len(words) && NamesService(word) || NamesService(word) && strings.HasSuffix(word, "…") {
			if inside[i], err = s.inEnvironment(cfg, arg); err != nil {
				return nil, err
			}
		}
	}
	if len(args) > 0 {
		return inside, nil
	}
	return s.everyService(cfg, words[0])
}

// inEnvironment returns one service in the environment. Its definition need not be there:
// what it lacks is found by the verbs that read it.
func (s *Session) inEnvironment(cfg *config.Config, target string) (string, error) {
	service, part, parted := strings.Cut(target, "/")
	if dir, err := Definitions(cfg); err == nil {
		_, err := dir.FindIn(service, s.Environment)
		if err := unknownEnvironment(err); err != nil {
			return "", err
		}
	}
	name := servicedef.InEnvironment(service, s.Environment)
	if parted {
		name += "/" + part
	}
	return name, nil
}

// everyService returns the services that have the environment, for a verb that takes as
// many as there are. For deploy its flags say which.
func (s *Session) everyService(cfg *config.Config, word string) ([]string, error) {
	switch {
	case word == "SERVICE…":
		services, _, err := s.AllDefinitions(cfg)
		return slices.Sorted(maps.Keys(services)), err
	case strings.HasSuffix(word, "…"):
		return nil, nil
	}
	return nil, exit.Usage(errors.New("--env needs a service"))
}

// AllDefinitions returns the valid definitions of the services directory by name, and the
// problems of its other files. In an environment they are the services that have it.
func (s *Session) AllDefinitions(cfg *config.Config) (map[string]*servicedef.Service, servicedef.Errors, error) {
	dir, err := Definitions(cfg)
	if err != nil {
		return nil, nil, err
	}
	services, problems := dir.Services()
	if s.Environment == "" {
		return services, problems, nil
	}
	services, err = dir.Environment(s.Environment)
	return services, problems, unknownEnvironment(err)
}

// unknownEnvironment makes the error of an environment that a definition does not have
// one of usage, with a hint; nil for other errors.
func unknownEnvironment(err error) error {
	var unknown *servicedir.UnknownEnvironmentError
	if !errors.As(err, &unknown) {
		return nil
	}
	f := fault.Translate(fault.NotFound, unknown)
	if near := spelling.Nearest(unknown.Name, unknown.Known); len(near) > 0 {
		f = f.WithHint("did you mean -e %s?", strings.Join(near, " or "))
	} else if unknown.Service != "" {
		f = f.WithHint("add [env.%s] to %s; a service that was deployed in an environment that is gone is %s",
			unknown.Name, unknown.File, servicedef.InEnvironment(unknown.Service, unknown.Name))
	}
	return exit.Usage(f)
}
