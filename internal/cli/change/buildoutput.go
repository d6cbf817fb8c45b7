package change

import (
	"context"
	"io"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/reads"
)

// logPause is how often another machine's builder is asked for more output.
const logPause = time.Second

// shownBuilds shows the output of builds while they run: what this process builds itself
// as it arrives, and the logs of another builder part by part.
type shownBuilds struct {
	session *session.Session
	client  client.Client
	builder string
	lines   sync.Mutex
	logs    []*shownLog // none if this process builds
	plain   bool

	reading sync.WaitGroup
	ended   chan struct{}
}

// shownLog is the newest log of one image.
type shownLog struct {
	service, image string
	former         string // the newest one before
	file           string // the one that is shown
	next           int64
	out            io.Writer
}

// showBuilds prepares to show the builds of definitions. It is called before these begin.
func showBuilds(ctx context.Context, s *session.Session, c client.Client, cfg *config.Config, o sourceOptions, definitions ...servicedef.Service) *shownBuilds {
	b := &shownBuilds{session: s, client: c, builder: cfg.Build.Builder, plain: o.progress == progressPlain, ended: make(chan struct{})}
	if !b.plain || cfg.Build.Workspace != "" || b.builder == "" {
		return b
	}
	for _, d := range definitions {
		for _, image := range session.ImageNames(&d) {
			log := &shownLog{service: d.Name, image: image, out: b.output(d.Name, image)}
			if found, err := b.read(ctx, log, 1); err == nil { // else it has none yet
				log.former = found.File
			}
			b.logs = append(b.logs, log)
		}
	}
	return b
}

// writer returns the writer for what this process builds; nil if nothing is shown.
func (b *shownBuilds) writer() func(service, image string) io.Writer {
	if !b.plain {
		return nil
	}
	return b.output
}

// output returns where the output of an image's build is shown.
func (b *shownBuilds) output(_, image string) io.Writer {
	return ui.Prefixed(&b.lines, b.session.Stderr, image+" | ")
}

// start begins to read the logs of another builder.
func (b *shownBuilds) start() {
	for _, log := range b.logs {
		b.reading.Go(func() {
			for {
				select {
				case <-time.After(logPause):
					b.show(log)
				case <-b.ended:
					b.show(log)
					return
				}
			}
		})
	}
}

// stop ends the reading, after what the logs have now.
func (b *shownBuilds) stop() {
	close(b.ended)
	b.reading.Wait()
}

// show shows what is new in a log. A builder that does not answer is asked again later.
func (b *shownBuilds) show(log *shownLog) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		found, err := b.read(ctx, log, reads.MaxBuildLog)
		if err != nil || found.File == "" || found.File == log.former {
			return
		}
		on := found.Next > log.next // else the answer would be the same again
		log.file, log.next = found.File, found.Next
		_, _ = io.WriteString(log.out, found.Text)
		if found.End || found.Text == "" || !on {
			return
		}
	}
}

// read reads a part of a log.
func (b *shownBuilds) read(ctx context.Context, log *shownLog, bytes int) (found reads.BuildLogResult, err error) {
	in := reads.BuildLogInput{Builder: b.builder}
	in.Service, in.Images, in.File, in.Offset, in.Bytes = log.service, []string{log.image}, log.file, log.next, bytes
	silent := *b.session
	silent.Stderr = io.Discard
	return found, silent.Read(ctx, b.client, "build-log", reads.BuildLogName, in, &found)
}
