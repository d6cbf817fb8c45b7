package servicedef

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef/names"
	"github.com/metacircular/mcp/servicedef/overlay"
)

// maxEnvironments bounds the environments of a definition, each of which is a
// service.
const maxEnvironments = 20

// InEnvironment returns the name of a service in an environment; "" is none.
func InEnvironment(service, environment string) string {
	if environment == "" {
		return service
	}
	return overlay.Environment{Name: environment}.Service(service)
}

// environments returns the services of the environments of a definition, whose own
// service, base, is decoded already, and adds their problems to those of base.
func (r *report) environments(base *Service, table map[string]any, found []overlay.Environment) []*Service {
	if len(found) > maxEnvironments {
		r.add(overlay.Key, "has %d environments; the limit is %d", len(found), maxEnvironments)
		return nil
	}
	var services []*Service
	inherited := &binds{report: r, holders: map[bind]string{}}
	inherited.add(base, "", nil)
	own := len(r.problems)
	for _, e := range found {
		inner := r.inside(e, table)
		s := inner.definition(inner.merged.Table)
		s.Environment = e.Name
		inner.check(s, base.Name, e)
		r.adopt(inner, r.problems[:own])
		inherited.add(s, e.Name, inner.merged)
		services = append(services, s)
	}
	return services
}

// inside returns a report of the definition as it is in an environment.
func (r *report) inside(e overlay.Environment, table map[string]any) *report {
	return &report{
		file: r.file, text: r.text, unusable: map[string]bool{"name": true},
		merged: e.Apply(table), environment: e.Name,
	}
}

// check applies the rules to a service in an environment.
func (r *report) check(s *Service, base string, e overlay.Environment) {
	for _, p := range r.merged.Problems {
		r.problems = append(r.problems, Problem{File: r.file, Line: r.text().Line(p.Key), Key: p.Key, Message: p.Message})
	}
	if IsLabel(base) && !IsLabel(e.Service(base)) {
		r.problems = append(r.problems, Problem{
			File: r.file, Line: r.text().Line(e.At()), Key: e.At(),
			Message: fmt.Sprintf("makes the service %q, whose name must be a DNS label: at most %d of a-z, 0-9 and inner -", e.Service(base), names.LongestLabel),
		})
	}
	r.service(s)
}

// adopt adds the problems of an environment, without those that the definition has
// itself.
func (r *report) adopt(inner *report, known Errors) {
	for _, p := range inner.problems {
		plain := p
		plain.Message = strings.TrimPrefix(p.Message, inner.inEnvironment())
		if !slices.Contains(known, plain) {
			r.problems = append(r.problems, p)
		}
	}
}

// bind is a directory of a node that a container may write to.
type bind struct{ node, source string }

// binds finds directories that two environments of a service would write to because
// one inherits the other's volumes.
type binds struct {
	report  *report
	holders map[bind]string // the environment, "" for none
}

// add adds the directories that a service inherits, or all of the definition itself.
func (b *binds) add(s *Service, environment string, merged *overlay.Merged) {
	for i, c := range s.Components {
		key := componentKey(i, "volumes")
		if merged != nil {
			if _, inherited := merged.Origin(key); !inherited {
				continue
			}
		}
		for _, source := range c.WritableVolumes() {
			if !path.IsAbs(source) || ephemeral(source) {
				continue
			}
			at := bind{c.Node, source}
			holder, taken := b.holders[at]
			if !taken {
				b.holders[at] = environment
			} else if holder != environment {
				b.report.add(key, "in environment %s component %s would write to %s on node %s, as %s does: give it other volumes in [[env.%s.components]], or the same ones if that is meant",
					environment, c.Name, source, c.Node, inWords(holder), environment)
			}
		}
	}
}

func inWords(environment string) string {
	if environment == "" {
		return "the service itself"
	}
	return "environment " + environment
}

// ephemeral reports whether a path of a host holds sockets and devices, not data.
func ephemeral(source string) bool {
	return slices.ContainsFunc([]string{"/dev", "/proc", "/run", "/sys", "/var/run"}, func(dir string) bool {
		return source == dir || strings.HasPrefix(source, dir+"/")
	})
}
