package podman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/containers/podman/v5/pkg/errorhandling"

	"github.com/metacircular/mcp/internal/runtime"
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
	lines := lineJoiner{each: each}
	if file := openLogFile(data); file != nil {
		defer file.close()
		err = e.readFile(ctx, file, data.ID, q, lines.add)
	} else {
		err = e.logs(ctx, data.ID, q, lines.add)
	}
	if err != nil {
		return e.translate(ctx, err, "read logs of %s", name)
	}
	lines.flush()
	return nil
}

func (e *Engine) logs(ctx context.Context, id string, q runtime.LogQuery, each func(logEntry) bool) error {
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
	err := e.entries(ctx, id, params, func(entry logEntry) bool {
		last = append(last[max(0, len(last)-n):], entry.time)
		return true
	})
	if err != nil || len(last) <= n {
		return time.Time{}, err
	}
	return last[0], nil
}

// entries calls each with the entries of a log until each returns false.
func (e *Engine) entries(ctx context.Context, id string, params url.Values, each func(logEntry) bool) error {
	for _, wanted := range []string{"stdout", "stderr", "timestamps"} {
		params.Set(wanted, "true")
	}
	body, err := e.open(ctx, get("/containers/%s/logs", id).with(params))
	if err != nil {
		return err
	}
	defer body.Close()
	var malformed error
	err = demultiplex(body, func(stream byte, frame []byte) bool {
		stamp, text, _ := bytes.Cut(frame, []byte(" "))
		at, err := time.Parse(time.RFC3339Nano, string(stamp))
		if err != nil {
			malformed = fmt.Errorf("read the time of an entry: %w", err)
			return false
		}
		text, ends := bytes.CutSuffix(text, []byte("\n"))
		return each(logEntry{at.UTC(), stream, text, ends})
	})
	return errors.Join(err, malformed)
}

// lineJoiner joins entries into lines.
type lineJoiner struct {
	each func(runtime.LogLine) bool
	done bool        // each has returned false
	open [2]openLine // of stdout, and of stderr
}

// openLine is a line whose last piece has not arrived.
type openLine struct {
	time time.Time
	text []byte
	some bool
}

func (j *lineJoiner) add(entry logEntry) bool {
	i := 0
	if entry.stream == stderrStream {
		i = 1
	}
	line := &j.open[i]
	line.time, line.some = entry.time, true
	line.text = append(line.text, entry.text[:min(len(entry.text), runtime.MaxLogLine-len(line.text))]...)
	return !entry.ends || j.end(i)
}

// end calls each with an open line and begins another.
func (j *lineJoiner) end(i int) bool {
	text := strings.ToValidUTF8(string(bytes.TrimRight(j.open[i].text, "\r")), "\uFFFD")
	line := runtime.LogLine{Time: j.open[i].time, Stream: [2]string{"stdout", "stderr"}[i], Text: text}
	j.open[i] = openLine{text: j.open[i].text[:0]}
	j.done = !j.each(line)
	return !j.done
}

// flush ends the lines that are still open.
func (j *lineJoiner) flush() {
	for i := range j.open {
		if j.open[i].some && !j.done {
			j.end(i)
		}
	}
}
