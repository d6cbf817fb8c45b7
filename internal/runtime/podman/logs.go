package podman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/containers/podman/v5/pkg/errorhandling"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/printed"
)

// Logs calls each with the lines of a container's output. It reads podman's file where it
// can, for three reasons. Podman, given a time, parses the file from its beginning, which
// takes 20 s for 100 MB; it refuses to select the last lines of a file that ends in a part
// of an entry: one that is being written, or that a crash has cut; and 4.3 has no times but
// whole seconds. Podman stores a long line, or one that is written in pieces, as several
// entries, and 4.3 joins those of the last lines in the wrong order. So the last lines are
// selected by the time from which to read.
func (e *Engine) Logs(ctx context.Context, name string, q runtime.LogQuery, each func(runtime.LogLine) bool) error {
	data, err := e.inspect(ctx, name)
	if err != nil {
		return err
	}
	if stateOf(data.State.Status) == runtime.Created {
		return nil // no output yet
	}
	lines := printed.JoinTo(each)
	if file := printed.OpenLogFile(data.HostConfig.LogConfig.Type, data.HostConfig.LogConfig.Path); file != nil {
		defer file.Close()
		err = e.readFile(ctx, file, data.ID, q, lines.Add)
	} else {
		err = e.logs(ctx, data.ID, q, lines.Add)
	}
	if err != nil {
		return e.translate(ctx, err, "read logs of %s", name)
	}
	lines.Flush()
	return nil
}

// readFile reads the logs of a container from its log file.
func (e *Engine) readFile(ctx context.Context, l *printed.LogFile, id string, q runtime.LogQuery, each func(printed.Entry) bool) error {
	return l.Read(ctx, q, func() (bool, error) {
		info, err := e.Inspect(ctx, id)
		if fault.Is(err, fault.NotFound) {
			return false, nil
		}
		return info.State.Alive(), err
	}, each)
}

func (e *Engine) logs(ctx context.Context, id string, q runtime.LogQuery, each func(printed.Entry) bool) error {
	since := q.Since
	if q.Tail > 0 {
		from, err := e.lastFrom(ctx, id, q.Tail)
		if err != nil {
			return err
		}
		if from.After(since) {
			since = from
		}
	}
	params := url.Values{}
	if !since.IsZero() {
		params.Set("since", since.Add(-time.Nanosecond).UTC().Format(time.RFC3339Nano)) // podman's is exclusive
	}
	if q.Follow {
		params.Set("follow", "true")
	}
	return e.entries(ctx, id, params, each)
}

// lastFrom returns the time of the entry before the last n, zero if there is none. Podman
// refuses to select the last entries of a file that ends in a part of one, and skips that
// part where it reads all.
func (e *Engine) lastFrom(ctx context.Context, id string, n int) (time.Time, error) {
	from, err := e.timeBefore(ctx, id, n, url.Values{"tail": {strconv.Itoa(n + 1)}})
	var refused *errorhandling.ErrorModel
	if errors.As(err, &refused) && refused.ResponseCode == http.StatusInternalServerError {
		return e.timeBefore(ctx, id, n, url.Values{})
	}
	return from, err
}

// timeBefore is lastFrom among the entries that params select.
func (e *Engine) timeBefore(ctx context.Context, id string, n int, params url.Values) (time.Time, error) {
	var last []time.Time
	err := e.entries(ctx, id, params, func(entry printed.Entry) bool {
		last = append(last[max(0, len(last)-n):], entry.Time)
		return true
	})
	if err != nil || len(last) <= n {
		return time.Time{}, err
	}
	return last[0], nil
}

// entries calls each with the entries of a log until each returns false.
func (e *Engine) entries(ctx context.Context, id string, params url.Values, each func(printed.Entry) bool) error {
	for _, wanted := range []string{"stdout", "stderr", "timestamps"} {
		params.Set(wanted, "true")
	}
	body, err := e.open(ctx, get("/containers/%s/logs", id).with(params))
	if err != nil {
		return err
	}
	defer body.Close()
	var malformed error
	err = printed.Frames(body, func(stderr bool, frame []byte) bool {
		stamp, text, _ := bytes.Cut(frame, []byte(" "))
		at, err := time.Parse(time.RFC3339Nano, string(stamp))
		if err != nil {
			malformed = fmt.Errorf("read the time of an entry: %w", err)
			return false
		}
		text, ends := bytes.CutSuffix(text, []byte("\n"))
		return each(printed.Entry{Time: at.UTC(), Stderr: stderr, Text: text, Ends: ends})
	})
	return errors.Join(err, malformed)
}
