package proxy

import (
	"net/url"
	"path"
	"strings"
)

// odd reports whether a path contains anything that servers read in different ways.
func odd(u *url.URL) bool {
	p := u.Path
	return u.RawPath != "" || strings.ContainsAny(p, `\;%`) || strings.Contains(p, "//") || strings.Contains(p, "/.")
}

// ambiguous reports whether a server could read a path as one that same does not
// accept: servers differ in whether they resolve dots, join slashes, take a backslash
// or an encoded slash for a slash, cut parameters off segments, and decode once more.
func ambiguous(u *url.URL, same func(path string) bool) bool {
	starts := []string{u.Path}
	if u.RawPath != "" {
		if p, err := url.PathUnescape(encodedSlash.Replace(u.RawPath)); err == nil {
			starts = append(starts, p) // to a server that keeps an encoded slash in its segment
		}
	}
	for _, start := range starts {
		for ways := range 8 {
			p := start
			if ways&1 != 0 {
				p = decoded(p)
			}
			if ways&2 != 0 {
				p = strings.ReplaceAll(p, `\`, "/")
			}
			if ways&4 != 0 {
				p = withoutParameters(p)
			}
			if !same(p) || !same(path.Clean("/"+p)) || !same(resolved(p)) {
				return true
			}
		}
	}
	return false
}

// encodedSlash replaces an encoded slash with a byte that no prefix contains.
var encodedSlash = strings.NewReplacer("%2F", "%01", "%2f", "%01")

// decoded decodes what is encoded twice, or more often.
func decoded(p string) string {
	for range 3 {
		d, err := url.PathUnescape(p)
		if err != nil || d == p {
			break
		}
		p = d
	}
	return p
}

// withoutParameters cuts ";…" off each segment.
func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// resolved resolves dots as RFC 3986, section 5.2.4, specifies: an empty segment
// counts.
func resolved(p string) string {
	var segments []string
	for s := range strings.SplitSeq(strings.TrimPrefix(p, "/"), "/") {
		switch s {
		case ".":
		case "..":
			if len(segments) > 0 {
				segments = segments[:len(segments)-1]
			}
		default:
			segments = append(segments, s)
		}
	}
	return "/" + strings.Join(segments, "/")
}
