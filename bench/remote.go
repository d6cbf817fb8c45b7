package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/metacircular/mcp/test/link"
	"github.com/metacircular/mcp/workflows"
)

// linkTrip is the round trip between the operator and the control plane.
const linkTrip = 50 * time.Millisecond

// remote measures how many round trips commands wait for on a link of linkTrip: how much
// longer they take on it, divided by that. The connection's own are among them: one for
// TCP, and one for the settings of HTTP/2. TLS takes one more.
func remote(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	l, err := link.To(s.info.Temporal(), linkTrip)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	const warmup = 1
	var images []string
	for i := range warmup + b.options.samples + 1 {
		image, err := s.publish(ctx, "remote", fmt.Sprint("v", i))
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	over := func(service string, through bool) contender {
		command := func(ctx context.Context, args ...string) *exec.Cmd {
			cmd, address := s.command(ctx, args...), s.info.Temporal()
			if through {
				address = l.Address()
			}
			cmd.Env = append(cmd.Env, "TEMPORAL_ADDRESS="+address) // past the gateway
			return cmd
		}
		return func(ctx context.Context, i int) ([]float64, error) {
			if err := s.define(service, "", component("app", "rift", images[i+1])); err != nil {
				return nil, err
			}
			return each(
				func() error {
					_, err := output(command(ctx, "deploy", service))
					return err
				},
				func() error { // what the deploy has replaced is gone before the next one
					return s.temporal.GetWorkflow(ctx, workflows.DeployID(service), "").Get(ctx, nil)
				},
				func() error {
					_, err := output(command(ctx, "deploy", service, "--json"))
					return err
				},
				func() error {
					_, err := output(command(ctx, "status", service))
					return err
				},
			)
		}
	}
	for _, service := range []string{"far", "near"} {
		if err := s.define(service, "", component("app", "rift", images[0])); err != nil {
			return nil, err
		}
		if _, err := s.deploy(ctx, service); err != nil {
			return nil, err
		}
	}
	taken, err := interleave(ctx, warmup, b.options.samples, over("far", true), over("near", false))
	if err != nil {
		return nil, err
	}
	if _, err := s.mcp(ctx, "undeploy", "-y", "far"); err != nil {
		return nil, err
	}
	if _, err := s.mcp(ctx, "undeploy", "-y", "near"); err != nil {
		return nil, err
	}
	trips := func(name, work, command string, target float64, figure int) result {
		about := result{Name: name, Work: work + ", over a link of 50 ms", Unit: "round trips", Target: target, Warmup: warmup, Command: command}
		return alone(about, differences(taken[0][figure], taken[1][figure]).each(int(linkTrip/time.Millisecond)))
	}
	return []result{
		trips("remote-deploy", "a new version, start-first, until its success is reported", "mcp deploy far", 5, 0),
		trips("remote-deploy-unchanged", "nothing to do", "mcp deploy far --json", 5, 2),
		trips("remote-status", "one service", "mcp status far", 5, 3),
	}, nil
}

// each does the work in turn, and returns how long each part took, in milliseconds.
func each(parts ...func() error) ([]float64, error) {
	var took []float64
	for _, part := range parts {
		started := time.Now()
		if err := part(); err != nil {
			return nil, err
		}
		took = append(took, milliseconds(time.Since(started)))
	}
	return took, nil
}
