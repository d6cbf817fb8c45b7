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

func main() {
	var o options
	only := flag.String("run", "", "measure only the rows whose names match this regular expression")
	flag.BoolVar(&o.short, "short", false, "take fewer samples of smaller work, to detect large regressions")
	flag.IntVar(&o.samples, "n", 0, "samples of each figure (default 10, with -short 3)")
	flag.StringVar(&o.bin, "bin", "bin", "the directory of mcp, temporal and registry")
	flag.StringVar(&o.out, "out", "bench", "the directory that results.json is written to")
	flag.StringVar(&o.page, "page", "", "the page whose table is updated")
	flag.Float64Var(&o.slack, "slack", 0, "fail if a ratio exceeds its target by this factor; 0 never fails")
	flag.DurationVar(&o.watch, "watch", 10*time.Minute, "how long a thousand nodes are observed")
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
		err = measureAll(ctx, o)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measureAll measures the selected rows on one site, and writes their results. It
// fails if any of them fails, or as verdict does.
func measureAll(ctx context.Context, o options) (err error) {
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil { // fail now rather than after two hours
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
	for _, r := range allRows {
		if !o.only.MatchString(r.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b.measure(ctx, r)
		if err := b.write(); err != nil { // keep results even if a later row fails
			return err
		}
	}
	return b.verdict()
}
