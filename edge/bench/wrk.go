package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// connections is how many clients wrk has at once.
const connections = 32

// load has wrk send requests to a proxy for some time, and returns how many were
// answered in a second, and the 99th percentile of the latency in milliseconds. Every
// answer must be that of the upstream.
func (s *site) load(ctx context.Context, p proxy, scheme string, d time.Duration) (rate, p99 float64, err error) {
	url := fmt.Sprintf("%s://localhost:%d/", scheme, p.ports[scheme])
	args := []string{"-t1", "-c" + strconv.Itoa(connections), "-d" + d.String(), "--latency"}
	if scheme == "http" {
		args = append(args, "-s", s.hostsScript)
	}
	text, err := exec.CommandContext(ctx, "wrk", append(args, url)...).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk: %w: %s", err, text)
	}
	return parseWrk(string(text))
}

var (
	rateLine     = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	p99Line      = regexp.MustCompile(`\n\s+99%\s+([0-9.]+)(us|ms|s)\n`)
	failuresLine = regexp.MustCompile(`Non-2xx or 3xx responses: \d+|Socket errors: .*`)
)

// parseWrk reads the figures from the output of wrk. Responses that are errors are an
// error.
func parseWrk(text string) (rate, p99 float64, err error) {
	if failures := failuresLine.FindString(text); failures != "" {
		return 0, 0, fmt.Errorf("wrk: %s", failures)
	}
	r, p := rateLine.FindStringSubmatch(text), p99Line.FindStringSubmatch(text)
	if r == nil || p == nil {
		return 0, 0, fmt.Errorf("wrk printed no figures: %s", text)
	}
	if rate, err = strconv.ParseFloat(r[1], 64); err != nil {
		return 0, 0, err
	}
	latency, err := time.ParseDuration(p[1] + p[2])
	return rate, float64(latency) / float64(time.Millisecond), err
}
