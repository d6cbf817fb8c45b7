package dev

import (
	"context"
	"log/slog"
	"time"
)

// part runs until it is stopped or dies.
type part interface {
	Done() <-chan struct{}
	Stop()
}

// The pauses before a dead part is restarted.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 15 * time.Second
	// steady is how long a part must run before its next death counts as a
	// first one.
	steady = time.Minute
)

// keeper restarts a part whenever it dies.
type keeper struct {
	name   string
	log    *slog.Logger
	again  func(context.Context) (part, error)
	cancel context.CancelFunc
	ended  chan struct{}
}

// keep supervises a running part. Again restarts it at the same address.
func keep(log *slog.Logger, name string, running part, again func(context.Context) (part, error)) *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{name: name, log: log, again: again, cancel: cancel, ended: make(chan struct{})}
	go k.run(ctx, running)
	return k
}

// stop stops the part and its supervision.
func (k *keeper) stop() {
	k.cancel()
	<-k.ended
}

func (k *keeper) run(ctx context.Context, running part) {
	defer close(k.ended)
	pause := firstPause
	for began := time.Now(); ; began = time.Now() {
		select {
		case <-ctx.Done():
			running.Stop()
			return
		case <-running.Done():
		}
		running.Stop() // ends the processes it may have left behind
		if time.Since(began) > steady {
			pause = firstPause
		}
		k.log.Warn("part died; restarting it", "part", k.name, "after", time.Since(began).Round(time.Second))
		if running, pause = k.revive(ctx, pause); running == nil {
			return
		}
		k.log.Info("part restarted", "part", k.name)
	}
}

// revive retries until the part runs; it returns nil when ctx ends.
func (k *keeper) revive(ctx context.Context, pause time.Duration) (part, time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return nil, pause
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
		attempt, cancel := context.WithTimeout(ctx, time.Minute)
		started, err := k.again(attempt)
		cancel()
		if err == nil {
			return started, pause
		}
		if ctx.Err() == nil {
			k.log.Error("cannot restart part", "part", k.name, "error", err, "next", pause)
		}
	}
}
