package inspect

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metacircular/mcp/internal/cli/ui"
)

// readerPoll is the interval at which ctx is checked while a reader is watched.
const readerPoll = time.Second

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// untilReaderGone returns when the reader of w has closed it, or ctx ends. A write to
// a pipe would report that too, but an idle follow writes nothing.
func untilReaderGone(ctx context.Context, w io.Writer) {
	file, ok := ui.Behind(w).(*os.File)
	for ok && ctx.Err() == nil {
		state := []unix.PollFd{{Fd: int32(file.Fd())}}
		n, err := unix.Poll(state, int(readerPoll/time.Millisecond))
		if err == nil && n > 0 && state[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
			return
		}
		ok = err == nil || errors.Is(err, unix.EINTR)
	}
	<-ctx.Done()
}
