package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// streamed is how many MB pass through a command or a log, streamedShort in a short run.
	streamed, streamedShort = 100, 10
	// streamRounds bounds the samples: the log of the container holds them all.
	streamRounds = 3
	// streamWord is in each kilobyte of it.
	streamWord = "word-5e1f0c"
)

// streams compares output, input and logs through a gateway with podman's own commands, and
// measures how much of them Temporal's database contains afterwards.
func streams(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	megabytes := streamed
	if b.options.short {
		megabytes = streamedShort
	}
	d, err := newDoorway(ctx, s)
	if err != nil {
		return nil, err
	}
	defer d.down()
	image, err := s.publish(ctx, "piped", "v1")
	if err != nil {
		return nil, err
	}
	if err := s.define("piped", "", strings.Replace(component("app", doorNode, image), "drain = ", "log_size = \"1g\"\ndrain = ", 1)); err != nil {
		return nil, err
	}
	var deployed deployed
	if deployed, err = s.deploy(ctx, "piped"); err != nil {
		return nil, err
	}
	url := fmt.Sprintf("http://%s:%d/", d.node.address, deployed.Components[0].Ports["http"])
	p := piped{doorway: d, megabytes: megabytes, url: url}
	const warmup = 1
	rounds := min(b.options.samples, streamRounds)
	empty, err := p.empty(ctx, 3*(warmup+rounds))
	if err != nil {
		return nil, err
	}
	before, err := p.temporal()
	if err != nil {
		return nil, err
	}
	var taken [][][]samples
	for _, contenders := range [][2]contender{
		{p.output(d.command, "exec", "piped/app", "--"), p.output(p.podman, "exec", "piped-app")},
		{p.input(d.command, "exec", "piped/app", "--"), p.input(p.podman, "exec", "-i", "piped-app")},
		{p.log(d.command, "logs", "-f", "-n", "1", "piped"), p.log(p.podman, "logs", "-f", "--tail", "1", "piped-app")},
	} {
		figures, err := interleave(ctx, warmup, rounds, contenders[0], contenders[1])
		if err != nil {
			return nil, err
		}
		taken = append(taken, figures)
	}
	after, err := p.temporal()
	if err != nil {
		return nil, err
	}
	if _, err := s.mcp(ctx, "undeploy", "-y", "piped"); err != nil {
		return nil, err
	}
	of := func(name, work, command, reference string, i int) result {
		return against(result{
			Name: name, Work: fmt.Sprintf("%d MB %s", megabytes, work), Unit: "ms", Target: 2, Warmup: warmup,
			Command: command, ReferenceCommand: reference,
		}, taken[i][0][0], taken[i][1][0])
	}
	passed := len(taken) * megabytes * (warmup + rounds)
	return []result{
		of("stream-exec-output", "out of a command, through a gateway", "mcp exec piped/app -- /app print", "podman exec piped-app /app print", 0),
		of("stream-exec-input", "into a command and out of it, through a gateway", "mcp exec piped/app -- /app through", "podman exec -i piped-app /app through", 1),
		of("stream-logs", "of lines, through a gateway, while they are printed", "mcp logs -f piped", "podman logs -f piped-app", 2),
		against(result{
			Name: "stream-temporal", Work: fmt.Sprintf("growth of Temporal's database while %d MB pass through the gateway, whose word is nowhere in it", passed),
			Unit: "MB", Command: "mcp exec and mcp logs, as above", ReferenceCommand: "as many commands that carry nothing",
		}, samples{float64(after-before) / 1e6}, samples{float64(empty) / 1e6}),
	}, nil
}

// piped is a service through which much data passes.
type piped struct {
	*doorway
	megabytes int
	url       string
}

// started returns a command with arguments.
type started func(ctx context.Context, args ...string) *exec.Cmd

func (p piped) podman(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "podman", append([]string{"--url", p.node.socket}, args...)...)
}

// output is a contender that reads what a command in the container prints.
func (p piped) output(start started, args ...string) contender {
	return timed(func(ctx context.Context, _ int) error {
		var read counted
		cmd := start(ctx, append(args, "/app", "print", fmt.Sprint(p.megabytes), "0")...)
		cmd.Stdout = &read
		return read.all(cmd.Run(), p.megabytes<<20)
	})
}

// input is a contender that reads back what it sends to a command in the container.
func (p piped) input(start started, args ...string) contender {
	kilobyte := []byte(streamWord + strings.Repeat("x", 1023-len(streamWord)) + "\n")
	return timed(func(ctx context.Context, _ int) error {
		var read counted
		cmd := start(ctx, append(args, "/app", "through")...)
		cmd.Stdin, cmd.Stdout = bytes.NewReader(bytes.Repeat(kilobyte, p.megabytes<<10)), &read
		err := cmd.Run()
		if code := (*exec.ExitError)(nil); errors.As(err, &code) && code.ExitCode() == 7 {
			err = nil // the command's own
		}
		return read.all(err, p.megabytes<<20)
	})
}

// counted counts the bytes that are written to it.
type counted int

func (c *counted) Write(text []byte) (int, error) {
	*c += counted(len(text))
	return len(text), nil
}

// all fails if the number of bytes is not the wanted one.
func (c *counted) all(err error, want int) error {
	if err == nil && int(*c) != want {
		err = fmt.Errorf("there are %d bytes, not %d", *c, want)
	}
	return err
}

// log is a contender that follows the container's output. Its time begins when the
// container is asked to print, and ends with the last line.
func (p piped) log(start started, args ...string) contender {
	return func(ctx context.Context, _ int) ([]float64, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cmd := start(ctx, args...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		defer func() {
			cancel()
			_ = cmd.Wait() // cancel has ended it
		}()
		lines := bufio.NewReaderSize(out, 1<<20)
		if _, err := lines.ReadSlice('\n'); err != nil { // it follows from here on
			return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
		}
		began := time.Now()
		asked := make(chan error, 1)
		go func() { asked <- p.print(ctx) }()
		for range p.megabytes << 10 {
			if _, err := lines.ReadSlice('\n'); err != nil {
				return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
			}
		}
		return []float64{milliseconds(time.Since(began))}, <-asked
	}
}

// print makes the container print.
func (p piped) print(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s?print=%d&word=%s", p.url, p.megabytes, streamWord), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

// empty returns by how many bytes Temporal's database grows with so many commands that carry
// no data.
func (p piped) empty(ctx context.Context, commands int) (int64, error) {
	before, err := p.temporal()
	if err != nil {
		return 0, err
	}
	for range commands {
		if _, err := output(p.command(ctx, "exec", "piped/app", "--", "/app", "print", "0", "0")); err != nil {
			return 0, err
		}
	}
	after, err := p.temporal()
	return max(after-before, 1), err
}

// temporal returns the size of Temporal's database. It fails if the database contains the
// word. Its content is also encrypted, so only the size shows that nothing has passed.
func (p piped) temporal() (size int64, err error) {
	files, err := filepath.Glob(filepath.Join(p.site.platform(), "temporal", "temporal.db*"))
	if err == nil && len(files) == 0 {
		err = errors.New("Temporal has no database")
	}
	for _, file := range files {
		text, failed := os.ReadFile(file)
		if failed == nil && bytes.Contains(text, []byte(streamWord)) {
			failed = fmt.Errorf("%s has what has passed through the gateway", file)
		}
		size += int64(len(text))
		err = errors.Join(err, failed)
	}
	return size, err
}
