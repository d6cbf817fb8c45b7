package building

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// queryOf returns the parameters of a build.
func queryOf(spec runtime.BuildSpec, containerfile string, mark marks.Build) url.Values {
	query := url.Values{
		"t": {spec.Tag}, "output": {spec.Tag}, "dockerfile": {encoded([]string{containerfile})},
		"outputformat": {"application/vnd.oci.image.manifest.v1+json"},
		"layers":       {"1"}, // cache the steps
		"rm":           {"1"},
		"forcerm":      {"1"}, // otherwise a failed build leaves its working container
		"httpproxy":    {"1"}, // as podman build does
		"pullpolicy":   {"missing"},
		"isolation":    {"0"}, // podman's default
		"retry":        {"0"}, // the caller retries
		"retry-delay":  {"0s"},
		"extrahosts":   {encoded([]string{mark.Host()})},

		"inheritannotations": {"1"},
	}
	if len(spec.Args) > 0 {
		query.Set("buildargs", encoded(spec.Args))
	}
	if spec.Target != "" {
		query.Set("target", spec.Target)
	}
	if len(spec.Labels) > 0 {
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(spec.Labels)) {
			labels = append(labels, name+"="+spec.Labels[name])
		}
		query.Set("labels", encoded(labels))
	}
	if len(spec.Platforms) > 0 {
		query["platform"] = spec.Platforms
	}
	if len(spec.Secrets) > 0 {
		var secrets []string
		for _, id := range slices.Sorted(maps.Keys(spec.Secrets)) {
			secrets = append(secrets, "id="+id+",src="+mark.Secret(id))
		}
		query.Set("secrets", encoded(secrets))
	}
	if spec.Insecure {
		query.Set("tlsVerify", "false")
	}
	if spec.NoCache {
		query.Set("nocache", "1")
	}
	return query
}

// AddCaches adds the parameters for caches, as podman of that version, "podman 5.6.1",
// reads them. An error has the kind Invalid, and means that podman takes fewer of
// them.
func AddCaches(query url.Values, spec runtime.BuildSpec, version string) error {
	for parameter, repositories := range map[string][]string{"cachefrom": spec.CacheFrom, "cacheto": spec.CacheTo} {
		switch {
		case len(repositories) == 0:
		case atLeast(version, 4, 4):
			query.Set(parameter, encoded(repositories))
		case len(repositories) > 1:
			return fault.New(fault.Invalid, "build %s: %s takes one repository each for cache_from and cache_to, not %d", spec.Tag, version, len(repositories)).
				WithHint("name one, or build with podman 4.4 or later")
		default:
			query.Set(parameter, repositories[0])
		}
	}
	return nil
}

// encoded returns a list or a map of strings as JSON.
func encoded(value any) string {
	text, _ := json.Marshal(value) // strings never fail
	return string(text)
}

// atLeast reports whether a version, "podman 5.6.1", is one or later.
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version[strings.LastIndex(version, " ")+1:], ".", 3)
	if len(parts) < 2 {
		return false
	}
	is, err := strconv.Atoi(parts[0])
	below, failed := strconv.Atoi(parts[1])
	return err == nil && failed == nil && (is > major || is == major && below >= minor)
}
