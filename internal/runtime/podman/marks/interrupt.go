package marks

import (
	"context"
	"time"
)

const (
	// interruptTimeout bounds the time that an interrupted build or check may take to
	// end after its processes were killed. After that the connection to podman is closed.
	interruptTimeout = 5 * time.Second
	// killInterval is the time between two attempts to kill them.
	killInterval = 20 * time.Millisecond
)

// interrupt calls kill when ctx ends, and again until the call that it watches has
// ended, for as long as running. It then calls disconnect, which ends the connection
// to podman. The caller calls done after the call.
func interrupt(ctx context.Context, kill func(), running func() bool, disconnect func()) (done func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer disconnect()
		for giveUp := time.Now().Add(interruptTimeout); running() && time.Now().Before(giveUp); {
			kill()
			select {
			case <-ended:
				return
			case <-time.After(killInterval):
			}
		}
	})
	return func() {
		stop()
		close(ended)
	}
}
