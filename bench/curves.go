package main

// templates lists all curves that are drawn, without points.
var templates = []curve{
	{Name: "components", Title: "A first deploy", X: "components", Y: "s"},
	{Name: "history", Title: "The history of a first deploy", X: "components", Y: "events"},
	{Name: "services", Title: "mcp status", X: "services", Y: "ms"},
	{Name: "nodes", Title: "Processor time of an observation", X: "nodes", Y: "ms"},
	{Name: "status-rows", Title: "mcp status of 50 services", X: "past deploys in the registry", Y: "ms"},
	{Name: "deploy-rows", Title: "mcp deploy, unchanged", X: "past deploys in the registry", Y: "ms"},
	{Name: "history-rows", Title: "mcp history", X: "past deploys in the registry", Y: "ms"},
}

// points adds points to a curve: x, y, x, y and so on.
func (b *bench) points(name string, xy ...float64) {
	var c *curve
	for _, drawn := range b.curves {
		if drawn.Name == name {
			c = drawn
		}
	}
	if c == nil {
		for _, template := range templates {
			if template.Name == name {
				c = &template
			}
		}
		b.curves = append(b.curves, c)
	}
	for i := 0; i+1 < len(xy); i += 2 {
		c.Points = append(c.Points, point{xy[i], xy[i+1]})
	}
}
