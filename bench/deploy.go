package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// deployCold deploys a service from its sources.
func deployCold(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	ours := func(ctx context.Context, i int) ([]float64, error) {
		version := fmt.Sprintf("ours-%d", i)
		if err := s.source("cold", version); err != nil {
			return nil, err
		}
		head := "path = \"cold\"\n[build.images]\ncold = \"Containerfile\"\n"
		if err := s.define("cold", head, component("app", "local", s.image("cold", version))); err != nil {
			return nil, err
		}
		started := time.Now()
		d, err := s.deploy(ctx, "cold")
		took := milliseconds(time.Since(started))
		if err != nil {
			return nil, err
		}
		if err := answers(fmt.Sprintf("http://127.0.0.1:%d/", d.Components[0].Ports["http"]), version); err != nil {
			return nil, err
		}
		_, err = s.mcp(ctx, "undeploy", "-y", "cold")
		return []float64{took}, err
	}
	theirs := func(ctx context.Context, i int) ([]float64, error) {
		version := fmt.Sprintf("theirs-%d", i)
		if err := s.source("cold", version); err != nil {
			return nil, err
		}
		n, port := s.nodes[0], fmt.Sprint(freePort(0))
		started := time.Now()
		_, err := output(s.script(ctx, n, "cold.sh", s.path("workspace", "cold"), s.image("cold", version), "bench-cold", n.address, port))
		took := milliseconds(time.Since(started))
		if err != nil {
			return nil, err
		}
		if err := answers("http://"+n.address+":"+port+"/", version); err != nil {
			return nil, err
		}
		_, err = s.podman(ctx, n, "rm", "-f", "-t", "0", "bench-cold")
		return []float64{took}, err
	}
	taken, err := interleave(ctx, 1, b.options.samples, ours, theirs)
	if err != nil {
		return nil, err
	}
	return []result{against(result{
		Name: "deploy-cold", Work: "build and push a 6 MB image and run it until its first 200; one process", Unit: "ms", Target: 1, Warmup: 1,
		Command: "mcp deploy cold", ReferenceCommand: "bench/scripts/cold.sh",
	}, taken[0][0], taken[1][0])}, nil
}

// deployUpdate starts a new version beside the old one: on one node with mcp, on
// another with a script, and on a third with podman's API alone.
func deployUpdate(ctx context.Context, b *bench) ([]result, error) {
	const warmup = 1
	s := b.site
	images := make([]string, warmup+b.options.samples+1)
	for i := range images {
		image, err := s.publish(ctx, "update", fmt.Sprint("v", i))
		if err != nil {
			return nil, err
		}
		images[i] = image
	}
	ours := func(ctx context.Context, i int) ([]float64, error) {
		if err := s.define("update", "", component("app", "rift", images[i+1])); err != nil {
			return nil, err
		}
		took, err := update(s.command(ctx, "deploy", "--wait", "update"), "✓ app: run on rift", func(output string) string {
			return "http://" + s.nodes[1].address + ":" + publishedPort.FindStringSubmatch(output + " http:0")[1] + "/"
		})
		return []float64{took.serves, took.reported, took.total}, err
	}
	theirs := func(ctx context.Context, i int) ([]float64, error) {
		n, port := s.nodes[2], fmt.Sprint(freePort(1+i%2))
		script := s.script(ctx, n, "update.sh", images[i+1], fmt.Sprint("bench-update-", i+1), n.address, port, fmt.Sprint("bench-update-", i))
		took, err := update(script, "serving", func(string) string { return "http://" + n.address + ":" + port + "/" })
		return []float64{took.serves, took.reported, took.total}, err
	}
	bare := func(ctx context.Context, i int) ([]float64, error) {
		return newAPI(s.nodes[3]).update(ctx, images[i+1], fmt.Sprint("bench-update-", i+1), freePort(1+i%2), fmt.Sprint("bench-update-", i))
	}
	// The old versions of the first round.
	if err := s.define("update", "", component("app", "rift", images[0])); err != nil {
		return nil, err
	}
	if _, err := s.deploy(ctx, "update"); err != nil {
		return nil, err
	}
	for _, n := range s.nodes[2:] {
		if _, err := output(s.script(ctx, n, "run.sh", n.socket, images[0], "bench-update-0", n.address, fmt.Sprint(freePort(2)))); err != nil {
			return nil, err
		}
	}
	taken, err := interleave(ctx, warmup, b.options.samples, ours, theirs, bare)
	if err != nil {
		return nil, err
	}
	for _, n := range s.nodes[2:] {
		if _, err := s.podman(ctx, n, "rm", "-f", "-t", "0", "-a"); err != nil {
			return nil, err
		}
	}
	if _, err := s.mcp(ctx, "undeploy", "-y", "update"); err != nil {
		return nil, err
	}
	about := result{Unit: "ms", Warmup: warmup, Command: "mcp deploy --wait update", ReferenceCommand: "bench/scripts/update.sh"}
	serves, reported, total, over := about, about, about, about
	serves.Name, serves.Work, serves.Target = "deploy-update", "new version, image in the registry, start-first, until the new container serves", 1.5
	reported.Name, reported.Work, reported.Target = "deploy-update-reported", "the same until the command reports it", 1.5
	total.Name, total.Work, total.Target = "deploy-update-total", "the same until the old container is removed", 1
	over.Name, over.Work, over.Target = "deploy-update-over-api", "how much longer deploy-update takes than the bare API calls", 150
	over.ReferenceCommand = "pull, create, start over podman's API, GET until 200"
	return []result{
		against(serves, taken[0][0], taken[1][0]),
		against(reported, taken[0][1], taken[1][1]),
		against(total, taken[0][2], taken[1][2]),
		alone(over, differences(taken[0][0], taken[2][0])),
	}, nil
}

// updated holds the durations of an update, in milliseconds after the start of
// its command.
type updated struct {
	serves   float64 // until the new container's first answer, as it reports itself
	reported float64 // until the command reported it
	total    float64 // until the command ended
}

// update runs a command that starts a service, which prints a line with the mark
// when the service answers. Url returns the service's URL, given the command's
// output.
func update(cmd *exec.Cmd, mark string, url func(output string) string) (updated, error) {
	var printed bytes.Buffer
	out, err := cmd.StdoutPipe()
	if err != nil {
		return updated{}, err
	}
	cmd.Stderr = cmd.Stdout
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return updated{}, err
	}
	var took updated
	for text := bufio.NewScanner(out); text.Scan(); {
		fmt.Fprintln(&printed, text.Text())
		if took.reported == 0 && strings.Contains(text.Text(), mark) {
			took.reported = milliseconds(time.Since(started))
		}
	}
	err = cmd.Wait()
	took.total = milliseconds(time.Since(started))
	if err == nil && took.reported == 0 {
		err = fmt.Errorf("the command never printed %q", mark)
	}
	if err == nil {
		took.serves, err = servedAfter(started, url(printed.String()))
	}
	if err != nil {
		return updated{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, &printed)
	}
	return took, nil
}

// publishedPort matches the port of a deploy's only route in the output of mcp.
var publishedPort = regexp.MustCompile(`\bhttp:(\d+)`)

// differences returns how much longer one took than the other, round by round.
func differences(ours, theirs samples) samples {
	var d samples
	for i := range ours {
		d = append(d, ours[i]-theirs[i])
	}
	return d
}

// deployUnchanged deploys a service that already runs.
func deployUnchanged(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	if err := s.bring(ctx, "same"); err != nil {
		return nil, err
	}
	ours := timed(func(ctx context.Context, _ int) error {
		d, err := s.deploy(ctx, "same")
		if err == nil && d.Outcome != "unchanged" {
			err = fmt.Errorf("the outcome is %s", d.Outcome)
		}
		return err
	})
	theirs := timed(func(ctx context.Context, _ int) error {
		_, err := s.podman(ctx, s.nodes[1], "ps")
		return err
	})
	taken, err := interleave(ctx, 2, 2*b.options.samples, ours, theirs)
	if err != nil {
		return nil, err
	}
	if _, err := s.mcp(ctx, "undeploy", "-y", "same"); err != nil {
		return nil, err
	}
	return []result{against(result{
		Name: "deploy-unchanged", Work: "nothing to do; one process", Unit: "ms", Target: 3, Warmup: 2,
		Command: "mcp deploy same --json", ReferenceCommand: "podman ps",
	}, taken[0][0], taken[1][0])}, nil
}
