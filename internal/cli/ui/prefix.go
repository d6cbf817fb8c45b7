package ui

import (
	"bytes"
	"io"
	"strings"
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
	return len(text), p.flush()
}

// flush writes the lines that have ended.
func (p *prefixed) flush() error {
	for {
		line, rest, ended := bytes.Cut(p.rest, []byte("\n"))
		if !ended {
			return nil
		}
		if _, err := io.WriteString(p.out, p.prefix+string(line)+"\n"); err != nil {
			return err
		}
		p.rest = rest
	}
}

func (p *prefixed) writeStyled(text Styled) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(string(text)) {
		if err := WriteStyled(p.out, Plain(p.prefix)+Styled(line)); err != nil {
			return err
		}
	}
	return nil
}
