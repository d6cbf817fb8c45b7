package servicedef

import (
	"math"
	"regexp"
	"sync"

	"github.com/metacircular/mcp/servicedef/linux"
	"github.com/metacircular/mcp/servicedef/names"
)

// pattern returns a regular expression that compiles when it is first used:
// most commands read no definition.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// matches reports whether a pattern that compiles late matches.
func matches(p func() *regexp.Regexp, text string) bool { return p().MatchString(text) }

// label checks a name that becomes part of container names and queues.
func (r *report) label(key, name string) {
	switch {
	case name == "":
		r.add(key, "is required")
	case !names.IsLabel(name):
		r.add(key, "must be a DNS label (at most 63 of a-z, 0-9 and inner -), not %q", name)
	}
}

// hostname checks a DNS name.
func (r *report) hostname(key, name string) {
	if !names.IsDNS(name) {
		r.add(key, "must be a DNS name, not %q", name)
	}
}

// hostnames checks the names by which clients reach a route.
func (r *report) hostnames(key string, hostnames []string) {
	at := func(i int) string { return elementKey(key, i) }
	if len(hostnames) == 1 && r.single(key) {
		at = func(int) string { return key }
	}
	for i, name := range hostnames {
		if problem := names.HostnameProblem(name); problem != "" {
			r.add(at(i), "%s", problem)
		}
	}
	r.unique(hostnames, at)
}

// single reports whether the value of a key is written as a string, and not as an
// array of one.
func (r *report) single(key string) bool {
	if r.text == nil {
		return true
	}
	return !r.text().Has(elementKey(key, 0))
}

// unique checks that no two values are equal, except empty ones. at returns the
// key of each.
func (r *report) unique(values []string, at func(i int) string) {
	first := map[string]int{}
	for i, value := range values {
		if before, taken := first[value]; taken && value != "" {
			r.add(at(i), "%q is taken by %s", value, at(before))
			continue
		}
		first[value] = i
	}
}

// argument checks the length of an argument, or of a variable as NAME=VALUE.
func (r *report) argument(key, text string) {
	if len(text) > linux.MaxVariable {
		r.add(key, "must have at most %d bytes, Linux's limit of an argument and of a variable with its name; it has %d", linux.MaxVariable, len(text))
	}
}

// maxID is the largest id of a user or a group that an OCI runtime accepts.
const maxID = math.MaxInt32
