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
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/workflows"
)

// settleTime is how long Postgres' sessions and its log may lag behind.
const settleTime = 500 * time.Millisecond

// perDeploy counts what the update of one component leaves in Temporal's
// history, and asks of Postgres.
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
	resume, err := s.pauseLooks(ctx)
	if err != nil {
		return nil, err
	}
	// Every statement into Postgres' own log, for as long as this takes.
	set := func(to string) error {
		_, err := s.psql(ctx, "-q", "-c", "alter system set log_statement = "+to, "-c", "select pg_reload_conf()")
		return err
	}
	if err := set("'all'"); err != nil {
		return nil, err
	}
	time.Sleep(settleTime) // each session hears of it for itself
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

// pauseLooks keeps the monitor, which asks Postgres by the clock, from looking at
// the nodes; resume has it go on.
func (s *site) pauseLooks(ctx context.Context) (resume func() error, err error) {
	looks := s.temporal.ScheduleClient().GetHandle(ctx, workflows.MonitorID)
	resume = func() error { return looks.Unpause(ctx, client.ScheduleUnpauseOptions{}) }
	return resume, looks.Pause(ctx, client.SchedulePauseOptions{})
}

// statements is how many Postgres has logged.
func (s *site) statements() (int, error) {
	log, err := os.ReadFile(filepath.Join(s.platform(), "postgres", "postgres.log"))
	if err != nil {
		return 0, fmt.Errorf("read what Postgres was asked: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "execute ") || strings.Contains(line, "statement: ") {
			n++
		}
	}
	return n, nil
}
