package servicedef

import (
	"maps"
	"net/url"
	"slices"
)

// health checks that there is at most one kind of probe, and an address to probe.
func (r *report) health(key string, c Component) {
	h := c.Health
	at := func(name string) string { return joinKey(key, name) }
	var kinds []string
	if h.HTTP != "" {
		kinds = append(kinds, "http")
	}
	if h.TCP {
		kinds = append(kinds, "tcp")
	}
	if len(h.Cmd) > 0 {
		kinds = append(kinds, "cmd")
	}
	if len(kinds) > 1 {
		r.add(at(kinds[1]), "excludes %s: a health check is one of http, tcp and cmd", kinds[0])
	}
	if _, err := url.ParseRequestURI(h.HTTP); h.HTTP != "" && (err != nil || h.HTTP[0] != '/') {
		r.add(at("http"), "must be a path that begins with /, not %q", h.HTTP)
	}
	if len(kinds) > 0 && kinds[0] != "cmd" && !c.reachable() {
		r.add(at(kinds[0]), "needs a route or a tcp port to probe")
	}
	positive := map[string]int64{
		"interval": int64(h.Interval), "timeout": int64(h.Timeout),
		"start_period": int64(h.StartPeriod), "retries": int64(h.Retries),
	}
	for _, name := range slices.Sorted(maps.Keys(positive)) {
		if positive[name] <= 0 {
			r.add(at(name), "must be positive")
		}
	}
}
