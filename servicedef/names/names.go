// Package names checks the names in a definition: those of services and components, of
// hosts, and of the objects of an engine.
package names

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// LongestLabel is the limit of RFC 1035, 2.3.4, of the bytes of a DNS label. In the patterns
// the count would cost every command a third of a millisecond to compile.
const LongestLabel = 63

// longestHostname is the limit of RFC 1035, 2.3.4, of a name without its final dot.
const longestHostname = 253

var (
	dnsLabel = pattern(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	dnsPart  = pattern(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	object   = pattern(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
)

// pattern returns a regular expression that compiles when it is first used:
// most commands read no definition.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// IsLabel reports whether a text is a DNS label in lower case, as the names of services and
// of components are.
func IsLabel(name string) bool { return len(name) <= LongestLabel && dnsLabel().MatchString(name) }

// IsDNS reports whether a text is a DNS name, in letters of any case.
func IsDNS(name string) bool {
	ok := len(name) <= longestHostname
	for part := range strings.SplitSeq(name, ".") {
		ok = ok && len(part) <= LongestLabel && dnsPart().MatchString(part)
	}
	return ok
}

// IsObject reports whether podman accepts a text as the name of a volume, a network or a
// secret.
func IsObject(name string) bool { return object().MatchString(name) }

// HostnameProblem says what is wrong with a name by which clients reach a route, "" if
// nothing is. The first label of such a name may be "*".
func HostnameProblem(name string) string {
	quoted := strconv.Quote(name)
	rest, _ := strings.CutPrefix(name, "*.")
	switch {
	case name == "":
		return "must not be empty"
	case strings.ContainsAny(name, "/?#@ \t\r\n"):
		return "must be a hostname alone, without scheme, path and spaces, unlike " + quoted
	case address(name):
		return "must be a DNS name, not the address " + quoted + "; for a route that is reached by address, leave it out and set edge = true"
	case strings.Contains(name, ":"):
		return "must be a hostname without a port, unlike " + quoted + "; the port has a key of its own"
	case strings.ContainsFunc(name, func(c rune) bool { return c > unicode.MaxASCII }):
		return `must be in punycode, which writes an international name in ASCII as "xn--…", unlike ` + quoted
	case strings.ToLower(name) != name:
		return "must be in lower case: " + strconv.Quote(strings.ToLower(name))
	case strings.HasSuffix(name, "."):
		return "must not end with a dot, unlike " + quoted
	case strings.Contains(rest, "*"):
		return `may have "*" only as its whole first label, before others, as in "*.shop.example", unlike ` + quoted
	case len(name) > longestHostname:
		return "must have at most " + strconv.Itoa(longestHostname) + " characters; it has " + strconv.Itoa(len(name))
	}
	for label := range strings.SplitSeq(rest, ".") {
		if !IsLabel(label) {
			return "must be a DNS name, each label of which has 1 to 63 of a-z, 0-9 and inner -, not " + quoted
		}
	}
	return ""
}

// address reports whether a client would take a name for an IP address: browsers do if its
// last label is a number.
func address(name string) bool {
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	if _, err := netip.ParseAddrPort(name); err == nil {
		return true
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil
}
