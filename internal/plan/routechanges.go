package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// routeChanges returns the options in which two routes of an endpoint differ.
func routeChanges(old, new fleet.EdgeRoute) []Change {
	var changes []Change
	add := func(field, from, to string) {
		if from != to {
			changes = append(changes, Change{Field: field, From: from, To: to})
		}
	}
	yes := strconv.FormatBool
	add("components", strings.Join(old.Components, " "), strings.Join(new.Components, " "))
	add("redirect", old.Redirect, new.Redirect)
	add("tls", yes(!old.Plain), yes(!new.Plain))
	add("strip", yes(old.Strip), yes(new.Strip))
	add("h2c", yes(old.H2C), yes(new.H2C))
	add("compress", yes(old.Compress), yes(new.Compress))
	changes = append(changes, envChanges("basic_auth", old.BasicAuth, new.BasicAuth)...)
	add("allow", strings.Join(old.Allow, " "), strings.Join(new.Allow, " "))
	add("proxy_protocol", old.ProxyProtocol, new.ProxyProtocol)
	return changes
}

// routeKeys compares what a route's container does not depend on.
func routeKeys(field string, old, new servicedef.Route) []Change {
	var changes []Change
	add := func(key string, from, to any) {
		if from, to := fmt.Sprint(from), fmt.Sprint(to); from != to {
			changes = append(changes, Change{Field: field + "." + key, From: from, To: to})
		}
	}
	add("port", old.Port, new.Port)
	add("mode", old.Mode, new.Mode)
	add("hostname", strings.Join(old.Hostname, " "), strings.Join(new.Hostname, " "))
	add("redirect_from", strings.Join(old.RedirectFrom, " "), strings.Join(new.RedirectFrom, " "))
	add("path", old.Path, new.Path)
	add("strip", old.Strip, new.Strip)
	add("tls", tls(old.TLS), tls(new.TLS))
	add("h2c", old.H2C, new.H2C)
	add("compress", old.Compress, new.Compress)
	changes = append(changes, envChanges(field+".basic_auth", old.BasicAuth, new.BasicAuth)...)
	add("allow", strings.Join(old.Allow, " "), strings.Join(new.Allow, " "))
	add("proxy_protocol", old.ProxyProtocol, new.ProxyProtocol)
	add("edge", old.Edge, new.Edge)
	return changes
}

// tls is a value of that key, "" for none.
func tls(value *bool) string {
	if value == nil {
		return ""
	}
	return strconv.FormatBool(*value)
}

// routePorts renders the part of a component's routes that its container depends
// on.
func routePorts(routes []servicedef.Route) string {
	var names []string
	for _, r := range routes {
		port := "$PORT"
		if r.ContainerPort != 0 {
			port = strconv.Itoa(r.ContainerPort)
		}
		if r.Protocol != "" {
			port += "/" + r.Protocol
		}
		names = append(names, r.Name+":"+port)
	}
	slices.Sort(names)
	return fmt.Sprint(names)
}

// atEdges reports whether edges serve a route of a component.
func atEdges(c servicedef.Component) bool {
	return slices.ContainsFunc(c.Routes, servicedef.Route.AtEdges)
}
