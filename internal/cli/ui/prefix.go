package ui

import (
	"bytes"
	"io"
	"sync"
)

// Prefixed writes whole lines to out, each after the prefix. Writers that share a
// mutex do not mix their lines.
func Prefixed(mu *sync.Mutex, out io.Writer, prefix string) io.Writer {
	return &prefixed{mu: mu, out: out, prefix: prefix}
}

type prefixed struct {
	mu     *sync.Mutex
	out    io.Writer
	prefix string
	rest   []byte // the line that has not ended yet
}

func (p *prefixed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, text...)
	for {
		line, rest, ended := bytes.Cut(p.rest, []byte("\n"))
		if !ended {
			return len(text), nil
		}
		if _, err := io.WriteString(p.out, p.prefix+string(line)+"\n"); err != nil {
			return 0, err
		}
		p.rest = rest
	}
}
