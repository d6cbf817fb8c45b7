package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
)

// perDeploy counts the history events and the SQL statements of an update of one
// component.
func perDeploy(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	if err := s.bring(ctx, "counted"); err != nil {
		return nil, err
	}
	image, err := s.publish(ctx, "counted", "v2")
	if err != nil {
		return nil, err
	}
	if err := s.define("counted", "", component("app", "rift", image)); err != nil {
		return nil, err
	}
	resume, err := s.pauseMonitor(ctx)
	if err != nil {
		return nil, err
	}
	// Log every statement in Postgres's log meanwhile.
	set := func(to string) error {
		_, err := s.psql(ctx, "-q", "-c", "alter system set log_statement = "+to, "-c", "select pg_reload_conf()")
		return err
	}
	if err := set("'all'"); err != nil {
		return nil, err
	}
	time.Sleep(settleTime) // each session reloads the setting separately
	before, err := s.statements()
	if err != nil {
		return nil, err
	}
	d, err := s.deploy(ctx, "counted")
	if err != nil {
		return nil, err
	}
	time.Sleep(settleTime)
	after, err := s.statements()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(set("default"), resume()); err != nil {
		return nil, err
	}
	events := 0
	run := s.temporal.GetWorkflow(ctx, d.WorkflowID, d.RunID)
	if err := s.eachEvent(ctx, run, func(enums.EventType) { events++ }); err != nil {
		return nil, err
	}
	if _, err := s.mcp(ctx, "undeploy", "-y", "counted"); err != nil {
		return nil, err
	}
	about := result{Work: "an update of one component", Command: "mcp deploy counted --json"}
	history, queries := about, about
	history.Name, history.Unit = "events-per-deploy", "history events"
	queries.Name, queries.Unit = "queries-per-deploy", "SQL statements"
	return []result{alone(history, samples{float64(events)}), alone(queries, samples{float64(after - before)})}, nil
}

// settleTime is how long Postgres's sessions and its log may lag behind.
const settleTime = 500 * time.Millisecond

// statements returns how many statements Postgres has logged.
func (s *site) statements() (int, error) {
	log, err := os.ReadFile(filepath.Join(s.platform(), "postgres", "postgres.log"))
	if err != nil {
		return 0, fmt.Errorf("read the log of Postgres: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "execute ") || strings.Contains(line, "statement: ") {
			n++
		}
	}
	return n, nil
}
