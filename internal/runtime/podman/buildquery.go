package podman

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// buildQuery returns the parameters of a build.
func buildQuery(spec runtime.BuildSpec, containerfile string, mark buildMark) url.Values {
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
		"extrahosts":   {encoded([]string{mark.host()})},

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
			secrets = append(secrets, "id="+id+",src="+mark.secret(id))
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

// addCaches adds the parameters for caches, as podman of the engine's version reads them.
func (e *Engine) addCaches(ctx context.Context, spec runtime.BuildSpec, query url.Values) error {
	if len(spec.CacheFrom)+len(spec.CacheTo) == 0 {
		return nil
	}
	version, err := e.Version(ctx)
	if err != nil {
		return err
	}
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
