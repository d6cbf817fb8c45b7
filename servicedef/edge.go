package servicedef

// The values of Route.Mode.
const (
	modeL4 = "l4"
	modeL7 = "l7"
)

// plainPort is the port of http: what is served there has no TLS.
const plainPort = 80

// AtEdges reports whether edges serve the route.
func (r Route) AtEdges() bool { return r.Edge || len(r.Hostname) > 0 }

// Plain reports whether an l7 route is served without TLS.
func (r Route) Plain() bool {
	return r.Mode == modeL7 && (r.Port == plainPort || r.TLS != nil && !*r.TLS)
}

// AtEdges reports whether edges serve a route of the service.
func (s Service) AtEdges() bool {
	for _, c := range s.Components {
		for _, r := range c.Routes {
			if r.AtEdges() {
				return true
			}
		}
	}
	return false
}
