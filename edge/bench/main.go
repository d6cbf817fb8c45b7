package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are those of one run.
type options struct {
	edge    string
	caddy   string
	rounds  int
	time    time.Duration
	hosts   []int
	schemes []string
	mcp     string
	deploys bool
	out     string
	page    string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.edge, "edge", "../bin/mcp-edge", "the `program` to measure")
	flag.StringVar(&o.caddy, "caddy", "../bin/caddy", "the `program` to compare it with")
	flag.StringVar(&o.mcp, "mcp", "../bin/mcp", "the `program` that deploys")
	flag.BoolVar(&o.deploys, "deploys", true, "measure the latency during deploys, too")
	flag.IntVar(&o.rounds, "rounds", 10, "how many rounds to measure")
	flag.DurationVar(&o.time, "time", 4*time.Second, "how long each proxy is loaded in a round")
	hosts := flag.String("hosts", "1,100,1000", "how many hostnames to serve, in a `list` of rows; \"\" keeps the rows of the last run")
	schemes := flag.String("schemes", "http,https", "the schemes to measure")
	flag.StringVar(&o.out, "out", "", "the `file` that gets the figures in JSON")
	flag.StringVar(&o.page, "page", "", "the page that gets the table, between its marks")
	flag.Parse()
	o.schemes = strings.Split(*schemes, ",")
	for text := range strings.FieldsFuncSeq(*hosts, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "bench: -hosts: %q is not a number of hostnames\n", text)
			os.Exit(2)
		}
		o.hosts = append(o.hosts, n)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures every row and writes the report.
func run(o options) error {
	// Debian installs nginx and haproxy in a directory that is not in the PATH of an
	// ordinary user.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin"); err != nil {
		return err
	}
	for _, program := range []string{"wrk", "nginx", "haproxy", o.edge, o.caddy} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: wrk, nginx and haproxy are Debian packages; make builds the others", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "mcp-edge-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var rows []row
	if len(o.hosts) == 0 {
		before, err := kept(o.out)
		if err != nil {
			return err
		}
		rows = before.Rows
	}
	for _, n := range o.hosts {
		measured, err := measure(ctx, o, filepath.Join(dir, strconv.Itoa(n)), n)
		if err != nil {
			return fmt.Errorf("with %d hostnames: %w", n, err)
		}
		rows = append(rows, measured...)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.Scheme, b.Scheme) })
	var d *deploying
	if o.deploys {
		measured, err := measureDeploys(ctx, o, filepath.Join(dir, "platform"))
		if err != nil {
			return fmt.Errorf("during deploys: %w", err)
		}
		d = &measured
	}
	return write(o, figures{rows, d})
}

// measure starts every proxy with n hostnames, and loads one after another, round by
// round. Each scheme is a row.
func measure(ctx context.Context, o options, dir string, n int) ([]row, error) {
	s, err := newSite(ctx, dir, n)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	proxies, err := s.startProxies(ctx, o)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, scheme := range o.schemes {
		r := row{Scheme: scheme, Hostnames: n, Rates: map[string]samples{}, P99: map[string]samples{}}
		for round := range o.rounds + 1 {
			for i := range proxies {
				p := proxies[(round+i)%len(proxies)]
				rate, p99, err := s.load(ctx, p, scheme, o.time)
				if err != nil {
					return nil, fmt.Errorf("load %s over %s: %w", p.name, scheme, err)
				}
				fmt.Fprintf(os.Stderr, "%-5s %4d hostnames, round %2d, %-8s %8.0f requests/s, p99 %6.2f ms\n", scheme, n, round, p.name, rate, p99)
				if round > 0 { // the first one warms up
					r.Rates[p.name] = append(r.Rates[p.name], rate)
					r.P99[p.name] = append(r.P99[p.name], p99)
				}
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}
