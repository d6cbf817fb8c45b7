// Command bench measures what mcp costs beside the same work without it, on a
// local platform that it starts. Each figure has its reference in the same run,
// since machines differ: what counts are ratios. `make bench` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	short   bool
	only    *regexp.Regexp
	samples int
	bin     string // where make has built mcp and the parts
	out     string // the directory for results.json and what belongs to it
	page    string // the page that gets the table; "" for none
	slack   float64
	watch   time.Duration
}

func main() {
	var o options
	only := flag.String("run", "", "measure only the rows whose names match this regular expression")
	flag.BoolVar(&o.short, "short", false, "fewer samples of smaller work, to see whether something is far off")
	flag.IntVar(&o.samples, "n", 0, "samples of each figure (default 10, with -short 3)")
	flag.StringVar(&o.bin, "bin", "bin", "the directory of mcp, temporal and registry")
	flag.StringVar(&o.out, "out", "bench", "the directory that results.json is written to")
	flag.StringVar(&o.page, "page", "", "the page whose table is brought up to date")
	flag.Float64Var(&o.slack, "slack", 0, "fail where a ratio is over so many times its target; 0 for never")
	flag.DurationVar(&o.watch, "watch", 10*time.Minute, "how long a thousand nodes are looked at")
	flag.Parse()
	if o.samples == 0 {
		o.samples = 10
		if o.short {
			o.samples = 3
		}
	}
	var err error
	if o.only, err = regexp.Compile(*only); err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = run(ctx, o)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures the rows that were asked for, on one site, and writes down what
// came of them. It fails if any of them did, or see verdict.
func run(ctx context.Context, o options) (err error) {
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil { // or it would be found out after two hours
		return err
	}
	s, err := newSite(ctx, o.bin)
	if err != nil {
		return err
	}
	defer func() {
		if downErr := s.down(); err == nil {
			err = downErr
		}
	}()
	b := &bench{site: s, options: o}
	for _, r := range rows {
		if !o.only.MatchString(r.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b.measure(ctx, r)
		if err := b.write(); err != nil { // what was measured stays, however this ends
			return err
		}
	}
	return b.verdict()
}
