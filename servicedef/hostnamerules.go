package servicedef

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// longestHostname is the limit of RFC 1035, 2.3.4, of a name without its final dot.
const longestHostname = 253

// hostnames checks the names by which clients reach a route.
func (r *report) hostnames(key string, names []string) {
	at := func(i int) string { return elementKey(key, i) }
	if len(names) == 1 && r.single(key) {
		at = func(int) string { return key }
	}
	for i, name := range names {
		if problem := hostnameProblem(name); problem != "" {
			r.add(at(i), "%s", problem)
		}
	}
	r.unique(names, at)
}

// single reports whether the value of a key is written as a string, and not as an
// array of one.
func (r *report) single(key string) bool {
	if r.text == nil {
		return true
	}
	return !r.text().Has(elementKey(key, 0))
}

// hostnameProblem says what is wrong with a hostname, "" if nothing is.
func hostnameProblem(name string) string {
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
		if len(label) > longestLabel || !dnsLabel().MatchString(label) {
			return "must be a DNS name, each label of which has 1 to 63 of a-z, 0-9 and inner -, not " + quoted
		}
	}
	return ""
}

// address reports whether a client would take a name for an IP address: browsers do
// where its last label is a number.
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
