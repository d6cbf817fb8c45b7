package serve

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
)

const (
	// keptBytes is how much of a source's newest lines is kept for its readers: more than
	// some answers hold.
	keptBytes = 16 << 20
	// waiting is how long one question waits for lines.
	waiting = 20 * time.Second
	// againPause is the time until the next question after one that failed.
	againPause = time.Second
	// linger is how long a source is read after its last reader has gone: the reader may
	// come back after its connection broke.
	linger = 30 * time.Second
	// goneKept is how many containers that are gone are remembered.
	goneKept = 32
)

// place is where a reader is.
type place int

const (
	among  place = iota // what it needs next is kept, or has not been printed
	behind              // what it needs next is not kept any more
	lost                // nor is it in a log
	done                // there is nothing more, and never will be
)

// feeds are the sources that are followed, each by one question at a time, whatever the
// number of its readers.
type feeds struct {
	read func(context.Context, onnode.LogsInput) (onnode.LogsResult, error)
	// keep is how many bytes are kept of each, and linger how long after its last reader.
	keep   int
	linger time.Duration

	mu sync.Mutex
	of map[string]*feed // by container
}

// entry is a line as it is sent.
type entry struct {
	text []byte
	// id is that of the container that has printed it, and mark is where to go on after it;
	// id is "" for a line that was not waited for.
	id   string
	mark runtime.LogMark
	// deployment is that of the container, if it is known.
	deployment int
	// note is sent instead of a line; nil for none.
	note *stream.Note
}

// entriesOf makes entries of lines, for all readers, with the deployments of their
// containers.
func entriesOf(lines []onnode.LogLine, deployments map[string]int) []entry {
	entries := make([]entry, len(lines))
	for i, line := range lines {
		e := &entries[i]
		e.text, _ = json.Marshal(stream.Line{LogLine: line.LogLine, Container: line.Container}) // strings and a time
		e.id, e.mark = line.Position()
		e.deployment = deployments[e.id]
	}
	return entries
}

// size is about how many bytes of memory an entry takes.
func (e entry) size() int { return len(e.text) + 100 }

// feed is what is read of one source.
type feed struct {
	readers int
	left    int // how often the last one has gone
	stop    context.CancelFunc
	keep    int

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, with each change
	first   int           // the number of the oldest line that is kept
	kept    []entry
	bytes   int
	// base are the marks before the lines that are kept.
	base map[string]runtime.LogMark
	// gone are containers that are not read any more, the newest last.
	gone []string
	// gap is the number of the first line after some that are lost, because the log had
	// started over before they were read; -1 for none.
	gap int
	// failed is why nothing can be read now; "" if it can.
	failed string
	// found are the deployments of containers, by their ids.
	found map[string]int
	// ended reports whether the source has ended, and all of it is kept, or was.
	ended bool
}

// join adds a reader, which goes on from the marks that it has seen. Containers that were
// gone before it came do not concern it: join adds their marks to those that it has seen.
func (f *feeds) join(ctx context.Context, source onnode.LogSource, seen map[string]runtime.LogMark) (*feed, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[string]*feed{}
	}
	marks := maps.Clone(seen)
	of := f.of[source.Container]
	if of != nil && of.passBy(seen) {
		of = nil
	}
	if of == nil {
		running, stop := context.WithCancel(context.WithoutCancel(ctx))
		of = &feed{stop: stop, keep: f.keep, changed: make(chan struct{}), base: maps.Clone(marks), gap: -1, found: map[string]int{}}
		if of.base == nil {
			of.base = map[string]runtime.LogMark{}
		}
		f.of[source.Container] = of
		source.Marks = maps.Clone(marks)
		go of.run(running, f.read, source)
	}
	of.readers++
	return of, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if of.readers--; of.readers > 0 {
			return
		}
		of.left++
		left := of.left
		time.AfterFunc(f.linger, func() { f.forget(source.Container, of, left) })
	}
}

// forget ends a feed that no reader has come back to.
func (f *feeds) forget(container string, of *feed, left int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if of.readers > 0 || of.left != left {
		return
	}
	if f.of[container] == of {
		delete(f.of, container)
	}
	of.stop()
}

// keeps reports whether a reader can go on after a mark of a container that is gone.
func (f *feeds) keeps(container, id string, mark runtime.LogMark) bool {
	f.mu.Lock()
	of := f.of[container]
	f.mu.Unlock()
	if of == nil {
		return false
	}
	of.mu.Lock()
	defer of.mu.Unlock()
	base, known := of.base[id]
	for _, e := range of.kept {
		known = known || e.id == id || e.note != nil && e.note.Begun != nil && e.note.Begun.ID == id
	}
	return known && !mark.Before(base)
}

// passBy marks as seen what containers that are gone have printed, unless the reader has
// begun to read it. It reports whether the source has ended.
func (f *feed) passBy(seen map[string]runtime.LogMark) (ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range f.gone {
		if _, begun := seen[id]; begun {
			continue
		}
		seen[id] = f.base[id]
		for _, e := range f.kept {
			if e.id == id {
				seen[id] = e.mark
			}
		}
	}
	return f.ended
}

// run reads until ctx ends.
func (f *feed) run(ctx context.Context, read func(context.Context, onnode.LogsInput) (onnode.LogsResult, error), source onnode.LogSource) {
	for ctx.Err() == nil {
		result, err := read(ctx, onnode.LogsInput{Sources: []onnode.LogSource{source}, Wait: waiting, Bytes: nextBytes, Prompt: true})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.fail(err)
			select {
			case <-ctx.Done():
			case <-time.After(againPause):
			}
			continue
		}
		f.add(source.Marks, result.Sources[0])
		source.Marks = result.Sources[0].Marks
		if result.Sources[0].Ended {
			return
		}
	}
}

// origins returns notes of the containers that a question has found, besides those of the
// marks before it, and of those that are gone.
func origins(marks map[string]runtime.LogMark, read onnode.SourceLogs, deployments map[string]int) (begun, ended []entry) {
	maps.Copy(deployments, read.Found)
	for _, id := range slices.Sorted(maps.Keys(read.Marks)) {
		if _, known := marks[id]; !known {
			begun = append(begun, entry{note: &stream.Note{Begun: &stream.Origin{ID: id, Deployment: deployments[id]}}})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(marks)) {
		if _, remains := read.Marks[id]; !remains {
			ended = append(ended, entry{note: &stream.Note{Ended: &stream.Origin{ID: id, Deployment: deployments[id]}}})
		}
	}
	return begun, ended
}

func (f *feed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = fault.Of(err).Message
	f.change()
}

// add keeps what was read after marks.
func (f *feed) add(marks map[string]runtime.LogMark, read onnode.SourceLogs) {
	begun, ended := origins(marks, read, f.found) // only its own question changes found
	entries := slices.Concat(begun, entriesOf(read.Lines, f.found), ended)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = read.Ended
	for id := range marks {
		if _, remains := read.Marks[id]; !remains {
			f.gone = append(f.gone, id)
		}
	}
	for len(f.gone) > goneKept {
		delete(f.base, f.gone[0])
		delete(f.found, f.gone[0])
		f.gone = f.gone[1:]
	}
	if read.Lost {
		f.gap = f.first + len(f.kept)
	}
	f.failed = ""
	f.kept = append(f.kept, entries...)
	for _, e := range entries {
		f.bytes += e.size()
	}
	drop := 0
	for ; f.bytes > f.keep; drop++ {
		oldest := f.kept[drop]
		if oldest.id != "" {
			f.base[oldest.id] = oldest.mark
		}
		f.bytes -= oldest.size()
	}
	f.kept = slices.Clone(f.kept[drop:])
	f.first += drop
	f.change()
}

// change wakes the readers. The caller has the lock.
func (f *feed) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// place returns where a reader is that has seen all before the marks in seen and the end of
// the containers in over, and the number of the line from which it goes on. It may have seen
// some of the lines from there on.
func (f *feed) place(seen map[string]runtime.LogMark, over map[string]bool) (position int, is place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, mark := range f.base {
		if !seen[id].Before(mark) {
			continue
		}
		is = max(is, behind)
		if slices.Contains(f.gone, id) {
			is = lost
		}
	}
	for position = f.first; position < f.first+len(f.kept); position++ {
		if next := f.kept[position-f.first]; next.isNew(seen, over) {
			break
		}
	}
	return position, is
}

// isNew reports whether a line, or a note of a container, is new to a reader that has seen
// all before the marks in seen and the end of the containers in over.
func (e entry) isNew(seen map[string]runtime.LogMark, over map[string]bool) bool {
	switch {
	case e.note == nil:
		return seen[e.id].Before(e.mark)
	case e.note.Begun != nil:
		_, known := seen[e.note.Begun.ID]
		return !known
	case e.note.Ended != nil:
		return !over[e.note.Ended.ID]
	}
	return true
}

// after waits for lines from a position on, or until the reason why they cannot be read is
// not the one before, and returns the next position.
func (f *feed) after(ctx context.Context, position int, before string) (lines []entry, next int, failed string, is place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		end := f.first + len(f.kept)
		switch {
		case position < f.first:
			return nil, position, f.failed, behind
		case position <= f.gap && f.gap < end:
			return nil, position, f.failed, lost
		case position < end || f.failed != before:
			return f.kept[position-f.first:], end, f.failed, among
		case f.ended:
			return nil, position, f.failed, done
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-changed:
		}
		f.mu.Lock()
		if ctx.Err() != nil {
			return nil, position, f.failed, among
		}
	}
}
