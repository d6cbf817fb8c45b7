package servicedef

import (
	"bytes"
	"errors"
	"sync"

	"github.com/BurntSushi/toml"

	"github.com/metacircular/mcp/servicedef/lines"
	"github.com/metacircular/mcp/servicedef/overlay"
)

// MaxSize bounds the text of a definition, in bytes, because the input of each deploy
// contains it and Temporal limits that to 2 MiB.
const MaxSize = 256 << 10

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

// ParseAll is Parse, and also returns the service of each environment of the
// definition, after that of the definition itself and sorted by name. Environments
// exist only in the definition and on the command line: the service shop is
// shop-staging in the environment staging.
func ParseAll(data []byte, file string) ([]*Service, error) {
	services, err := parse(data, file)
	if err != nil {
		return nil, err
	}
	return services, nil
}

// parse is ParseAll, but also returns what it could decode of an invalid definition,
// which is at least one service.
func parse(data []byte, file string) ([]*Service, error) {
	r := &report{file: file, unusable: map[string]bool{}}
	none := []*Service{{File: file, Active: true}}
	if len(data) > MaxSize {
		r.add("", "is larger than %d KiB, too large for a service definition", MaxSize>>10)
		return none, r.problems.OrNil()
	}
	var table map[string]any
	if _, err := toml.NewDecoder(bytes.NewReader(data)).Decode(&table); err != nil {
		r.problems = append(r.problems, syntaxProblem(err, file, data))
		return none, r.problems.OrNil()
	}
	r.text = sync.OnceValue(func() *lines.Index { return lines.Of(data) })
	environments := overlay.Cut(table)
	base := r.definition(table)
	r.service(base)
	services := append([]*Service{base}, r.environments(base, table, environments)...)
	return services, r.problems.OrNil()
}

// syntaxProblem translates the TOML package's error.
func syntaxProblem(err error, file string, data []byte) Problem {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Problem{File: file, Line: 1, Message: err.Error()}
	}
	line := max(1, syntax.Position.Line) // the TOML package may report line 0 for the first
	split := bytes.SplitAfter(data, []byte("\n"))
	upTo := bytes.Join(split[:min(line, len(split))], nil)
	return Problem{
		File: file, Line: line, Key: lines.Of(upTo).Indexed(syntax.LastKey),
		Message: "is not TOML: " + syntax.Message,
	}
}
