package podman

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/metacircular/mcp/internal/runtime"
)

// bound limits how long podman may leave a call unanswered. A call that makes
// progress has no limit: one that only takes long is ended by its caller.
type bound struct {
	// answer is the time until podman's response begins; 0 for no limit. What
	// podman reads of the request counts as progress.
	answer time.Duration
	// idle is the time between two parts of the response; 0 for no limit, where a
	// program decides when it prints.
	idle time.Duration
}

const (
	// reading is for a call that changes nothing, changing for one that does.
	// Both take milliseconds, and seconds on a host that is overloaded. A call that
	// was lost is repeated soon enough for a service to be whole within a minute.
	reading, changing = 20 * time.Second, 30 * time.Second
	// stopGrace is what a stop may take beyond the container's stop timeout.
	stopGrace = 30 * time.Second
	// copying is how long podman may print nothing while it copies a layer, and
	// stepping while a step of a build runs.
	copying, stepping = 10 * time.Minute, 30 * time.Minute
)

// bounds lists every call of podman's API that this package makes.
var bounds = map[string]bound{
	"GET /_ping":                 {reading, reading},
	"GET /info":                  {reading, reading},
	"GET /secrets/json":          {reading, reading},
	"POST /secrets/create":       {changing, changing},
	"DELETE /secrets/%s":         {changing, changing},
	"GET /containers/json":       {reading, reading},
	"GET /containers/%s/json":    {reading, reading},
	"GET /containers/%s/logs":    {changing, changing},
	"POST /containers/create":    {changing, changing},
	"POST /containers/%s/start":  {changing, changing},
	"POST /containers/%s/stop":   {stopGrace, stopGrace},
	"POST /containers/%s/rename": {reading, reading},
	"DELETE /containers/%s":      {changing, changing},
	"POST /containers/%s/exec":   {reading, reading},
	"POST /exec/%s/start":        {changing, 0},
	"GET /exec/%s/json":          {reading, reading},
	"POST /exec/%s/resize":       {reading, reading},
	// Whoever reads or writes an archive decides how fast that goes.
	"GET /containers/%s/archive":  {changing, 0},
	"PUT /containers/%s/archive":  {},
	"HEAD /containers/%s/archive": {reading, reading},
	"GET /images/json":            {reading, reading},
	"GET /images/%s/json":         {reading, reading},
	"GET /images/%s/exists":       {reading, reading},
	"POST /images/%s/untag":       {changing, changing},
	"DELETE /images/remove":       {changing, changing},
	"POST /images/pull":           {changing, copying},
	"POST /images/%s/push":        {changing, copying},
	"POST /build":                 {changing, stepping},

	"POST /manifests/%s":             {changing, changing},
	"DELETE /manifests/%s":           {changing, changing},
	"POST /manifests/%s/registry/%s": {changing, copying},
}

// unanswered is the error of a call that reached its bound.
type unanswered struct {
	call  string
	after time.Duration
}

func (u unanswered) Error() string { return fmt.Sprintf("no answer to %s within %s", u.call, u.after) }

// watch ends a call that makes no progress.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  atomic.Int64
	idle   time.Duration
	report func() // of the caller, who watches for progress too
}

// newWatch returns the watch of a call. Longest, unless it is 0, bounds every
// limit.
func newWatch(ctx context.Context, call string, b bound, longest time.Duration) *watch {
	if longest > 0 {
		b.answer = min(b.answer, longest)
		b.idle = min(b.idle, longest)
	}
	w := &watch{idle: b.idle, report: runtime.Progress(ctx)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.limit.Store(int64(b.answer))
	w.timer = time.AfterFunc(cmp.Or(b.answer, math.MaxInt64), func() { w.cancel(unanswered{call, time.Duration(w.limit.Load())}) })
	if b.answer == 0 {
		w.timer.Stop()
	}
	return w
}

// answered is called when the response has begun.
func (w *watch) answered() {
	w.report()
	if w.timer.Stop() && w.idle > 0 {
		w.limit.Store(int64(w.idle))
		w.timer.Reset(w.idle)
	}
}

// progress is called after each part of the request or the response.
func (w *watch) progress() {
	w.report()
	if w.timer.Stop() {
		w.timer.Reset(time.Duration(w.limit.Load()))
	}
}

// end frees the watch.
func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// err returns the reason for which the call ended, if that is the watch.
func (w *watch) err(err error) error {
	var late unanswered
	if err != nil && !errors.Is(err, io.EOF) && errors.As(context.Cause(w.ctx), &late) {
		return late
	}
	return err
}

// watchedBody is the body of a request or a response.
type watchedBody struct {
	io.Reader
	watch *watch
	close func() error
}

func (b watchedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if n > 0 {
		b.watch.progress()
	}
	return n, b.watch.err(err)
}

func (b watchedBody) Close() error { return b.close() }

// request returns the body of a request that is sent while podman reads it. One in
// memory keeps its type, from which its length is taken.
func (w *watch) request(body io.Reader) io.Reader {
	closer, streamed := body.(io.Closer)
	if _, inMemory := body.(*bytes.Reader); body == nil || inMemory || !streamed {
		return body
	}
	return watchedBody{body, w, closer.Close}
}

// response returns the body of a response; closing it ends the watch.
func (w *watch) response(body io.ReadCloser) io.ReadCloser {
	return watchedBody{body, w, func() error {
		defer w.end()
		return body.Close()
	}}
}
