package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// deployHundred deploys one service of many components on all nodes.
func deployHundred(ctx context.Context, b *bench) ([]result, error) {
	s, many := b.site, 100
	if b.options.short {
		many = 12
	}
	image, err := s.publish(ctx, "many", "v1")
	if err != nil {
		return nil, err
	}
	var components []string
	var jobs strings.Builder
	for i := range many {
		n := s.nodes[i%len(s.nodes)]
		components = append(components, component(fmt.Sprintf("c%03d", i), n.name, image))
		fmt.Fprintf(&jobs, "%s %s bench-many-%d %s %d\n", n.socket, image, i, n.address, freePort(i))
	}
	if err := s.define("many", "", components...); err != nil {
		return nil, err
	}
	ours := func(ctx context.Context, _ int) ([]float64, error) {
		started := time.Now()
		d, err := s.deploy(ctx, "many")
		took := milliseconds(time.Since(started))
		if err != nil {
			return nil, err
		}
		if d.Outcome != "succeeded" || len(d.Components) != many {
			return nil, fmt.Errorf("the outcome is %s, of %d components", d.Outcome, len(d.Components))
		}
		_, err = s.mcp(ctx, "undeploy", "-y", "many")
		return []float64{took}, err
	}
	// One process per core and one more: more processes are not faster here.
	const xargs = "xargs -P 3 -L 1 bash bench/scripts/run.sh"
	theirs := func(ctx context.Context, _ int) ([]float64, error) {
		cmd := exec.CommandContext(ctx, "bash", "-c", xargs)
		cmd.Stdin = strings.NewReader(jobs.String())
		started := time.Now()
		_, err := output(cmd)
		took := milliseconds(time.Since(started))
		if err != nil {
			return nil, err
		}
		return []float64{took}, s.clear(ctx)
	}
	taken, err := interleave(ctx, 1, b.options.samples, ours, theirs)
	if err != nil {
		return nil, err
	}
	return []result{against(result{
		Name: "deploy-100", Work: fmt.Sprintf("one service, %d components on %d nodes", many, len(s.nodes)), Unit: "ms", Target: 1, Warmup: 1,
		Command: "mcp deploy many --json", ReferenceCommand: xargs,
	}, taken[0][0], taken[1][0])}, nil
}

// fleetAtOnce deploys many services at once, with one command, or with one script
// for each.
func fleetAtOnce(ctx context.Context, b *bench) ([]result, error) {
	s, many := b.site, 20
	if b.options.short {
		many = 8
	}
	image, err := s.publish(ctx, "fleet", "v1")
	if err != nil {
		return nil, err
	}
	nodeOf := func(i int) *node { return s.nodes[i%len(s.nodes)] }
	service := func(i int) string { return fmt.Sprintf("fleet-%02d", i) }
	command := []string{"deploy", "--wait", "--json"}
	for i := range many {
		command = append(command, service(i))
		if err := s.define(service(i), "", component("app", nodeOf(i).name, image)); err != nil {
			return nil, err
		}
	}
	ours := func(ctx context.Context, _ int) ([]float64, error) {
		started := time.Now()
		text, err := s.mcp(ctx, command...)
		took := milliseconds(time.Since(started))
		if err != nil {
			return nil, err
		}
		var all []deployed
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return nil, err
		}
		failed := func(d deployed) bool { return d.Outcome != "succeeded" }
		if len(all) != many || slices.ContainsFunc(all, failed) {
			return nil, fmt.Errorf("not all deploys succeeded: %s", text)
		}
		return []float64{took}, atOnce(many, func(i int) error {
			_, err := s.mcp(ctx, "undeploy", "-y", service(i))
			return err
		})
	}
	theirs := func(ctx context.Context, _ int) ([]float64, error) {
		started := time.Now()
		err := atOnce(many, func(i int) error {
			n := nodeOf(i)
			_, err := output(s.script(ctx, n, "run.sh", n.socket, image, fmt.Sprint("bench-fleet-", i), n.address, fmt.Sprint(freePort(i))))
			return err
		})
		took := milliseconds(time.Since(started))
		if err != nil {
			return nil, err
		}
		return []float64{took}, s.clear(ctx)
	}
	taken, err := interleave(ctx, 1, b.options.samples, ours, theirs)
	if err != nil {
		return nil, err
	}
	return []result{against(result{
		Name: "fleet-20x", Work: fmt.Sprintf("%d services at once on %d nodes", many, len(s.nodes)), Unit: "ms", Target: 1, Warmup: 1,
		Command: "mcp deploy --json fleet-00 …", ReferenceCommand: fmt.Sprintf("%d × bench/scripts/run.sh", many),
	}, taken[0][0], taken[1][0])}, nil
}

// clear removes all containers of the scripts.
func (s *site) clear(ctx context.Context) error {
	return s.onAll(func(n *node) error {
		ids, err := s.podman(ctx, n, "ps", "-aq", "--filter", "name=^bench-")
		if err != nil || ids == "" {
			return err
		}
		_, err = s.podman(ctx, n, append([]string{"rm", "-f", "-t", "0"}, strings.Fields(ids)...)...)
		return err
	})
}
