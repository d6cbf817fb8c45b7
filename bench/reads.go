package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// settled are services that stay up while several rows are measured, settledShort
// those of a short run.
const (
	settled      = 50
	settledShort = 15
)

// settle brings up many services on the last node, unless they are there, and
// says how many.
func (b *bench) settle(ctx context.Context) (many int, err error) {
	s := b.site
	if many = settled; b.options.short {
		many = settledShort
	}
	if s.settledAt != nil {
		return many, nil
	}
	n := s.nodes[len(s.nodes)-1]
	image, err := s.publish(ctx, "settled", "v1")
	if err != nil {
		return 0, err
	}
	var names []string
	for i := range many {
		name := fmt.Sprintf("settled-%02d", i)
		names = append(names, name)
		if err := s.define(name, "", component("app", n.name, image)); err != nil {
			return 0, err
		}
	}
	if _, err := s.mcp(ctx, append([]string{"deploy", "--json"}, names...)...); err != nil {
		return 0, err
	}
	s.settledAt = n
	return many, nil
}

// status lists many services.
func status(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	many, err := b.settle(ctx)
	if err != nil {
		return nil, err
	}
	query := filepath.Join("bench", "scripts", "status.sql")
	rows, err := s.psql(ctx, "-t", "-A", "-f", query)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(rows, "settled-"); n < many {
		return nil, fmt.Errorf("the reference reads %d rows, not %d", n, many)
	}
	text, err := os.ReadFile(query)
	if err != nil {
		return nil, err
	}
	ours := timed(func(ctx context.Context, _ int) error {
		text, err := s.mcp(ctx, "status", "--json")
		if err != nil {
			return err
		}
		var services []struct{ Service string }
		if err := json.Unmarshal([]byte(text), &services); err != nil || len(services) < many {
			return fmt.Errorf("status tells of %d services: %w", len(services), err)
		}
		return nil
	})
	theirs := timed(func(ctx context.Context, _ int) error {
		_, err := s.psql(ctx, "-c", string(text))
		return err
	})
	taken, err := interleave(ctx, 2, 2*b.options.samples, ours, theirs)
	if err != nil {
		return nil, err
	}
	return []result{against(result{
		Name: "status", Work: fmt.Sprintf("%d services, a whole process", many), Unit: "ms", Target: 4, Warmup: 2,
		Command: "mcp status --json", ReferenceCommand: "psql -c bench/scripts/status.sql",
	}, taken[0][0], taken[1][0])}, nil
}
