package podman

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync/atomic"
)

// buildOutput passes on a build's output and keeps what an error needs: the last
// lines and the current step.
type buildOutput struct {
	out  io.Writer // nil for none
	last tail
	step string // "STEP 2/3: RUN make"
	// running is set while the step is a RUN.
	running atomic.Bool
	masks   []string // what is not shown
}

// writer returns the writer that podman's output goes to.
func (b *buildOutput) writer() *maskWriter {
	own := &lineWriter{emit: b.add}
	if b.out == nil {
		return &maskWriter{to: own, masks: b.masks}
	}
	return &maskWriter{to: io.MultiWriter(own, b.out), masks: b.masks}
}

func (b *buildOutput) add(line string) {
	if _, step, found := strings.Cut(line, "STEP "); found && strings.Contains(step, ": ") {
		b.step = "STEP " + step
		b.running.Store(strings.Contains(step, ": RUN "))
	}
	b.last.add(line)
}

// logLines is the number of lines of a failed build's output that its error
// holds.
const logLines = 20

// followBuild runs a build, writes its output and returns the id of the image.
func (e *Engine) followBuild(ctx context.Context, r request, output *buildOutput) (string, error) {
	var id string
	out := output.writer()
	defer out.end()
	err := e.follow(ctx, r, func(text string) {
		_, _ = io.WriteString(out, text)
		if imageID.MatchString(text) {
			id = strings.TrimSuffix(text, "\n")
		}
	})
	if err == nil && id == "" {
		err = fmt.Errorf("podman ended the build without an image: %w", io.ErrUnexpectedEOF)
	}
	return id, err
}

// imageID matches the last report of a build that succeeded.
var imageID = regexp.MustCompile(`^[0-9a-f]{12}`)
