package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
)

// curve is how something grows with something else; tools/plot draws it.
type curve struct {
	Name   string  `json:"name"`
	Title  string  `json:"title"`
	X      string  `json:"x"`
	Y      string  `json:"y"`
	Points []point `json:"points"`
}

type point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// curves are all that are drawn, by their names.
var curves = []curve{
	{Name: "components", Title: "A first deploy", X: "components", Y: "s"},
	{Name: "history", Title: "The history of a first deploy", X: "components", Y: "events"},
	{Name: "services", Title: "mcp status", X: "services", Y: "ms"},
	{Name: "nodes", Title: "Processor time of a look", X: "nodes", Y: "ms"},
	{Name: "status-rows", Title: "mcp status of 50 services", X: "past deploys in the registry", Y: "ms"},
	{Name: "deploy-rows", Title: "mcp deploy, unchanged", X: "past deploys in the registry", Y: "ms"},
	{Name: "history-rows", Title: "mcp history", X: "past deploys in the registry", Y: "ms"},
}

// points adds points to a curve: x, y, x, y and so on.
func (b *bench) points(name string, xy ...float64) {
	var c *curve
	for _, known := range b.curves {
		if known.Name == name {
			c = known
		}
	}
	if c == nil {
		for _, known := range curves {
			if known.Name == name {
				c = &known
			}
		}
		b.curves = append(b.curves, c)
	}
	for i := 0; i+1 < len(xy); i += 2 {
		c.Points = append(c.Points, point{xy[i], xy[i+1]})
	}
}

// growing is a row that measures how something grows. It has no targets, and no
// place in the short form; what it finds are curves.
func growing(measure func(context.Context, *bench) error) func(context.Context, *bench) ([]result, error) {
	return func(ctx context.Context, b *bench) ([]result, error) {
		if b.options.short {
			return nil, nil
		}
		return nil, measure(ctx, b)
	}
}

// growComponents deploys services of more and more components.
func growComponents(ctx context.Context, b *bench) error {
	s := b.site
	image, err := s.publish(ctx, "grown", "v1")
	if err != nil {
		return err
	}
	for _, size := range []int{4, 1, 4, 10, 25, 50, 100, 200} { // the first pulls the image to every node, the last is the most there may be
		var components []string
		for i := range size {
			components = append(components, component(fmt.Sprintf("c%03d", i), s.nodes[i%len(s.nodes)].name, image))
		}
		if err := s.define("grown", "", components...); err != nil {
			return err
		}
		started := time.Now()
		d, err := s.deploy(ctx, "grown")
		took := time.Since(started)
		if err != nil {
			return err
		}
		events := 0
		if err := s.eachEvent(ctx, s.temporal.GetWorkflow(ctx, d.WorkflowID, d.RunID), func(enums.EventType) { events++ }); err != nil {
			return err
		}
		b.points("components", float64(size), took.Seconds())
		b.points("history", float64(size), float64(events))
		if _, err := s.mcp(ctx, "undeploy", "-y", "grown"); err != nil {
			return err
		}
	}
	b.curves[len(b.curves)-1].Points = b.curves[len(b.curves)-1].Points[1:]
	b.curves[len(b.curves)-2].Points = b.curves[len(b.curves)-2].Points[1:]
	return nil
}

// reading is how long a verb takes, in milliseconds, as the median of some runs.
func (b *bench) reading(ctx context.Context, args ...string) (float64, error) {
	taken, err := interleave(ctx, 1, b.options.samples, timed(func(ctx context.Context, _ int) error {
		_, err := b.site.mcp(ctx, args...)
		return err
	}))
	if err != nil {
		return 0, err
	}
	return taken[0][0].median(), nil
}

// growServices asks for the status of more and more services, which are stopped.
func growServices(ctx context.Context, b *bench) error {
	s, there := b.site, 0
	image, err := s.publish(ctx, "quiet", "v1")
	if err != nil {
		return err
	}
	var names []string
	for _, size := range []int{1, 10, 50, 100, 200} {
		var fresh []string
		for ; there < size; there++ {
			name := fmt.Sprintf("quiet-%03d", there)
			if err := s.define(name, "active = false\n", component("app", "local", image)); err != nil {
				return err
			}
			fresh = append(fresh, name)
		}
		if _, err := s.mcp(ctx, append([]string{"deploy", "--json"}, fresh...)...); err != nil {
			return err
		}
		names = append(names, fresh...)
		took, err := b.reading(ctx, append([]string{"status"}, names...)...)
		if err != nil {
			return err
		}
		b.points("services", float64(size), took)
	}
	return nil
}

// pastDeploys makes rows as deploys leave them that find nothing to do, of each of
// the services that are settled.
const pastDeploys = `
	with past as (
		update services set newest = newest + %[1]d where name like 'settled-%%' returning name, release, newest
	)
	insert into deployments (service, number, verb, definition, definition_hash, who, from_host, workflow_id, run_id, outcome, started_at, finished_at)
	select d.service, p.newest - n, 'deploy', d.definition, d.definition_hash, 'bench', 'bench', d.workflow_id,
	       'bench-' || d.service || '-' || (p.newest - n), 'unchanged', now() - n * interval '1 hour', now() - n * interval '1 hour'
	from deployments d join past p on p.name = d.service and p.release = d.number, generate_series(0, %[1]d - 1) n`

// growRows reads, and deploys what is there already, while the registry fills
// with a year of deploys: some twenty a day of each of 50 services.
func growRows(ctx context.Context, b *bench) error {
	s := b.site
	if _, err := b.settle(ctx); err != nil {
		return err
	}
	there := 0
	for _, each := range []int{0, 70, 700, 7000} {
		if each > there {
			query := fmt.Sprintf(pastDeploys, each-there)
			if _, err := s.psql(ctx, "-q", "-v", "ON_ERROR_STOP=1", "-c", query, "-c", "analyze"); err != nil {
				return err
			}
			there = each
		}
		for curve, args := range map[string][]string{
			"status-rows":  {"status"},
			"deploy-rows":  {"deploy", "settled-00", "--json"},
			"history-rows": {"history", "settled-00"},
		} {
			took, err := b.reading(ctx, args...)
			if err != nil {
				return err
			}
			b.points(curve, float64(each*settled), took)
		}
	}
	return nil
}
