package building

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/metacircular/mcp/internal/runtime/podman/printed"
)

// Output passes on a build's output and keeps what its caller needs: the id of the image,
// and for an error the last lines and the current step. Running alone may be called while
// another goroutine reports.
type Output struct {
	shown *maskWriter
	last  tail
	step  string
	image string
	// running is set while the step is a RUN.
	running atomic.Bool
}

// logLines is the number of lines of a failed build's output that its error
// holds.
const logLines = 20

// NewOutput returns the output of a build that has these secrets, by id. It is written to
// out, without the secrets, unless that is nil.
func NewOutput(out io.Writer, secrets map[string][]byte) *Output {
	o := &Output{last: tail{keep: logLines}}
	to := printed.Lines(o.add)
	if out != nil {
		to = io.MultiWriter(to, out)
	}
	o.shown = &maskWriter{to: to, masks: masksOf(secrets)}
	return o
}

// imageID matches the last report of a build that succeeded.
var imageID = regexp.MustCompile(`^[0-9a-f]{12}`)

// Report adds the text of one of podman's reports.
func (o *Output) Report(text string) {
	_, _ = io.WriteString(o.shown, text)
	if imageID.MatchString(text) {
		o.image = strings.TrimSuffix(text, "\n")
	}
}

// End passes on what is held back of a line that has not ended. The caller calls it after
// the build.
func (o *Output) End() { o.shown.end() }

// Image returns the id of the image; "" if podman has not reported one.
func (o *Output) Image() string { return o.image }

// Step returns the current step as podman prints it, "STEP 2/3: RUN make"; "" before the
// first one.
func (o *Output) Step() string { return o.step }

// Running reports whether the current step is a RUN.
func (o *Output) Running() bool { return o.running.Load() }

// Log returns the last lines, without what they reveal of podman itself.
func (o *Output) Log() []string {
	return slices.DeleteFunc(o.last.lines, regexp.MustCompile(stepDump).MatchString)
}

func (o *Output) add(line string) {
	if _, step, found := strings.Cut(line, "STEP "); found && strings.Contains(step, ": ") {
		o.step = "STEP " + step
		o.running.Store(strings.Contains(step, ": RUN "))
	}
	o.last.add(line)
}

// tail keeps the last lines that are added.
type tail struct {
	keep  int
	lines []string
}

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > t.keep {
		t.lines = t.lines[1:]
	}
}
