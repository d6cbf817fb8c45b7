package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
)

// growing returns a row that measures how a figure grows. Its results are curves
// without targets; a short run skips it.
func growing(measure func(context.Context, *bench) error) func(context.Context, *bench) ([]result, error) {
	return func(ctx context.Context, b *bench) ([]result, error) {
		if b.options.short {
			return nil, nil
		}
		return nil, measure(ctx, b)
	}
}

// growComponents deploys services with growing numbers of components.
func growComponents(ctx context.Context, b *bench) error {
	s := b.site
	image, err := s.publish(ctx, "grown", "v1")
	if err != nil {
		return err
	}
	for _, size := range []int{4, 1, 4, 10, 25, 50, 100, 200} { // the first pulls the image to every node, the last is the maximum
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

// growServices reads the status of growing numbers of stopped services.
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
		if _, err := s.mcp(ctx, append([]string{"deploy", "--wait", "--json"}, fresh...)...); err != nil {
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

// pastDeploys inserts the rows of deploys that changed nothing, for each of the
// settled services.
const pastDeploys = `
	with past as (
		update services set newest = newest + %[1]d where name like 'settled-%%' returning name, release, newest
	)
	insert into deployments (service, number, verb, definition, definition_hash, who, from_host, workflow_id, run_id, outcome, started_at, finished_at)
	select d.service, p.newest - n, 'deploy', d.definition, d.definition_hash, 'bench', 'bench', d.workflow_id,
	       'bench-' || d.service || '-' || (p.newest - n), 'unchanged', now() - n * interval '1 hour', now() - n * interval '1 hour'
	from deployments d join past p on p.name = d.service and p.release = d.number, generate_series(0, %[1]d - 1) n`

// growRows reads from the registry, and deploys an unchanged service, as the
// registry grows to a year of deploys: some twenty a day for each of 50 services.
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

// reading returns the median duration of a verb, in milliseconds.
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
