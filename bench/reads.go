package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// readStatus reads the status of many services.
func readStatus(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	many, err := b.settle(ctx)
	if err != nil {
		return nil, err
	}
	query := filepath.Join("bench", "scripts", "status.sql")
	listed, err := s.psql(ctx, "-t", "-A", "-f", query)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(listed, "settled-"); n < many {
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
			return fmt.Errorf("status lists %d services: %w", len(services), err)
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
		Name: "status", Work: fmt.Sprintf("%d services; one process", many), Unit: "ms", Target: 4, Warmup: 2,
		Command: "mcp status --json", ReferenceCommand: "psql -c bench/scripts/status.sql",
	}, taken[0][0], taken[1][0])}, nil
}
