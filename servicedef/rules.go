package servicedef

import (
	"math"
	"regexp"
	"strings"
	"sync"
)

// RFC 1035, 2.3.4, limits a DNS label to 63 bytes. In the pattern the count
// would cost every command a third of a millisecond to compile.
const longestLabel = 63

var (
	dnsLabel = pattern(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	dnsPart  = pattern(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	// objectName matches what podman accepts as the name of a volume, a network
	// or a secret.
	objectName = pattern(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
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
	case len(name) > longestLabel || !dnsLabel().MatchString(name):
		r.add(key, "must be a DNS label (at most 63 of a-z, 0-9 and inner -), not %q", name)
	}
}

// hostname checks a DNS name.
func (r *report) hostname(key, name string) {
	ok := len(name) <= 253
	for part := range strings.SplitSeq(name, ".") {
		ok = ok && len(part) <= longestLabel && dnsPart().MatchString(part)
	}
	if !ok {
		r.add(key, "must be a DNS name, not %q", name)
	}
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

// MaxVariable is Linux's limit of bytes of an argument or a variable of a program,
// MAX_ARG_STRLEN in its linux/binfmts.h, less the NUL at the end.
const MaxVariable = 128<<10 - 1

// argument checks the length of an argument, or of a variable as NAME=VALUE.
func (r *report) argument(key, text string) {
	if len(text) > MaxVariable {
		r.add(key, "must have at most %d bytes, Linux's limit of an argument and of a variable with its name; it has %d", MaxVariable, len(text))
	}
}

// maxID is the largest id of a user or a group that an OCI runtime accepts.
const maxID = math.MaxInt32
