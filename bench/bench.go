package main

import (
	"context"
	"regexp"
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

// bench is one run.
type bench struct {
	site    *site
	options options
	results []result
	failed  []string
	curves  []*curve
}

// row is one kind of work. Measuring it yields one or more results.
type row struct {
	name    string
	measure func(ctx context.Context, b *bench) ([]result, error)
}

// result is one figure. If it has a reference, its target bounds the ratio;
// otherwise the target, if any, bounds the value.
type result struct {
	Name  string  `json:"name"`
	Work  string  `json:"work"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Reference is the figure of the same work without mcp, Ratio is Value
	// divided by it; both are 0 if there is none.
	Reference float64 `json:"reference,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"`
	Target    float64 `json:"target,omitempty"`
	Holds     bool    `json:"holds"`
	// Samples is the number of samples of each, after Warmup samples that do not
	// count. Spread and ReferenceSpread are their quartiles.
	Samples         int        `json:"samples"`
	Warmup          int        `json:"warmup"`
	Spread          [2]float64 `json:"spread"`
	ReferenceSpread [2]float64 `json:"reference_spread,omitzero"`
	// Command is the measured command, ReferenceCommand that of the reference.
	Command          string `json:"command"`
	ReferenceCommand string `json:"reference_command,omitempty"`
}

// against returns the result of work that has a reference.
func against(r result, ours, theirs samples) result {
	r = alone(r, ours)
	r.Reference, r.ReferenceSpread = theirs.median(), theirs.quartiles()
	r.Ratio = r.Value / r.Reference
	r.Holds = r.Ratio <= r.Target
	return r
}

// alone returns the result of work without a reference.
func alone(r result, ours samples) result {
	r.Value, r.Spread, r.Samples = ours.median(), ours.quartiles(), len(ours)
	r.Holds = r.Target == 0 || r.Value <= r.Target
	return r
}

// curve is a figure as a function of another; tools/plot draws it.
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
