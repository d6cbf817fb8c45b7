package servicedef

import (
	"bytes"
	"errors"
	"reflect"
	"sync"

	"github.com/BurntSushi/toml"

	"github.com/metacircular/mcp/servicedef/overlay"
)

// maxSize bounds a definition, because the input of each deploy contains it and
// Temporal limits that to 2 MiB.
const maxSize = 256 << 10

// Parse reads a definition, fills in every default and validates it. The error
// is an Errors with every problem; a text that is not TOML has only that one.
// Problems name file as the place of the text.
func Parse(data []byte, file string) (*Service, error) {
	services, err := parse(data, file)
	if err != nil {
		return nil, err
	}
	return services[0], nil
}

// parse is ParseAll, but also returns what it could decode of an invalid definition,
// which is one service at least.
func parse(data []byte, file string) ([]*Service, error) {
	r := &report{file: file, unusable: map[string]bool{}}
	none := []*Service{{File: file, Active: true}}
	if len(data) > maxSize {
		r.add("", "is larger than %d KiB, too large for a service definition", maxSize>>10)
		return none, r.problems.orNil()
	}
	var table map[string]any
	if _, err := toml.NewDecoder(bytes.NewReader(data)).Decode(&table); err != nil {
		r.problems = append(r.problems, syntaxProblem(err, file, data))
		return none, r.problems.orNil()
	}
	r.text = sync.OnceValue(func() *positions { return newPositions(data) })
	environments := overlay.Cut(table)
	base := r.definition(table)
	r.service(base)
	services := append([]*Service{base}, r.environments(base, table, environments)...)
	return services, r.problems.orNil()
}

// definition decodes a definition, and fills in its defaults.
func (r *report) definition(table map[string]any) *Service {
	s := &Service{File: r.file, Active: true}
	r.decode("", table, reflect.ValueOf(s).Elem())
	s.setDefaults(table)
	return s
}

// syntaxProblem translates the TOML package's error.
func syntaxProblem(err error, file string, data []byte) Problem {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Problem{File: file, Line: 1, Message: err.Error()}
	}
	line := max(1, syntax.Position.Line) // the TOML package may report line 0 for the first
	lines := bytes.SplitAfter(data, []byte("\n"))
	upTo := bytes.Join(lines[:min(line, len(lines))], nil)
	return Problem{
		File: file, Line: line, Key: newPositions(upTo).indexed(syntax.LastKey),
		Message: "is not TOML: " + syntax.Message,
	}
}

// Validate checks a definition that did not come from a file and has its defaults
// filled in. The error is an Errors, without lines.
func (s Service) Validate() error {
	r := &report{file: s.File}
	r.service(&s)
	return r.problems.orNil()
}

// ValidateNames checks the names of a definition and of its components, which become
// parts of the names of containers, queues and records, and the nodes. The error is an
// Errors, without lines. A definition that has been valid still passes where Validate
// has become stricter since.
func (s Service) ValidateNames() error {
	r := &report{file: s.File}
	r.label("name", s.Name)
	for i, c := range s.Components {
		r.label(componentKey(i, "name"), c.Name)
		r.hostname(componentKey(i, "node"), c.Node)
	}
	for i, step := range s.Steps {
		r.label(stepKey(i, "name"), step.Name)
		r.hostname(stepKey(i, "node"), s.StepComponent(step).Node)
	}
	return r.problems.orNil()
}
