package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/metacircular/mcp/bench/proc"
)

// watched is the result of watching the observations of a swarm.
type watched struct {
	observations, missed, late int
	latest                     time.Duration // the longest delay of an observation
	// Milliseconds of processor time, per second or per observation, and MB of
	// memory at the end.
	temporal, control, postgres float64
	temporalMB, controlMB       float64
	long                        time.Duration
}

// perObservation subtracts what the idle platform uses, and converts the processor
// time per second to that per observation. All is the number of observed nodes,
// counted the number of those whose observations are counted.
func (got *watched) perObservation(idle watched, all, counted int) {
	share := got.long.Seconds() / float64(max(1, got.observations)) * float64(counted) / float64(all)
	got.temporal = (got.temporal - idle.temporal) * share
	got.control = (got.control - idle.control) * share
	got.postgres = (got.postgres - idle.postgres) * share
}

// watch counts the observations of the nodes, each due once in an interval, and
// measures what the platform uses meanwhile. It lasts as long as the given time.
func (w *swarm) watch(ctx context.Context, interval, long time.Duration) (watched, error) {
	usage, err := w.site.usage()
	if err != nil {
		return watched{}, err
	}
	from := time.Now()
	select {
	case <-ctx.Done():
		return watched{}, ctx.Err()
	case <-time.After(long):
	}
	after, err := w.site.usage()
	if err != nil {
		return watched{}, err
	}
	got := watched{long: long}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range w.names {
		w.count(&got, name, interval, from, from.Add(long))
	}
	got.temporal = (after.temporal - usage.temporal) / long.Seconds()
	got.control = (after.control - usage.control) / long.Seconds()
	got.postgres = (after.postgres - usage.postgres) / long.Seconds()
	got.temporalMB, got.controlMB = after.temporalMB, after.controlMB
	return got, nil
}

// count counts one node's observations. Each is due an interval after the one
// before.
func (w *swarm) count(got *watched, name string, interval time.Duration, from, to time.Time) {
	seen, last := 0, from
	for _, at := range w.observed[name] {
		if at.Before(from) {
			last = at
			continue
		}
		if at.After(to) {
			break
		}
		seen++
		late := at.Sub(last) - interval
		if late > tolerance {
			got.late++
		}
		got.latest, last = max(got.latest, late), at
	}
	got.observations += seen
	got.missed += max(0, int(to.Sub(from)/interval)-seen)
}

// usage is the processor time of the platform's parts, in milliseconds, and their
// memory, in MB.
type usage struct {
	temporal, control, postgres float64
	temporalMB, controlMB       float64
}

func (s *site) usage() (u usage, err error) {
	of := func(pid int) (milliseconds, megabytes float64, err error) {
		stat, err := proc.StatOf(pid)
		if err != nil {
			return 0, 0, err
		}
		bytes, err := proc.MemoryOf(pid)
		return float64((stat.Own + stat.Ended).Milliseconds()), float64(bytes) / 1e6, err
	}
	if u.control, u.controlMB, err = of(s.info.PID); err != nil {
		return u, err
	}
	parts, err := proc.ChildrenOf(s.info.PID)
	if err != nil {
		return u, err
	}
	for _, part := range parts {
		switch command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", part.PID)); strings.TrimSpace(string(command)) {
		case "temporal":
			u.temporal, u.temporalMB, err = of(part.PID)
		case "postgres":
			u.postgres, err = s.ofPostgres(part)
		}
		if err != nil {
			return u, err
		}
	}
	if u.temporal == 0 || u.postgres == 0 {
		return u, fmt.Errorf("process %d lacks the parts of a platform", s.info.PID)
	}
	return u, nil
}

// ofPostgres returns the processor time of Postgres and its sessions, in
// milliseconds.
func (s *site) ofPostgres(postmaster proc.Stat) (float64, error) {
	sessions, err := proc.ChildrenOf(postmaster.PID)
	spent := postmaster.Own + postmaster.Ended
	for _, session := range sessions {
		spent += session.Own
	}
	return float64(spent.Milliseconds()), err
}
