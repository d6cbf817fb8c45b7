package ui

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// RedrawEvery is how often a screen redraws its live lines.
const RedrawEvery = 100 * time.Millisecond

// Screen is a terminal that shows lines which stay and, below them, live lines of
// what is under way. It hides no cursor and changes no mode: a process that is
// killed leaves a terminal that works. A nil Screen shows no live lines.
type Screen struct {
	out  io.Writer
	size func() (columns, rows int)

	// drawing is held while the live lines are collected and drawn, mu while
	// something is written: a panel may write a line while it is asked for its own.
	drawing sync.Mutex
	mu      sync.Mutex
	panels  []*panel
	drawn   []string // the live lines that are on the terminal
	stop    chan struct{}
}

// panel holds some of the live lines.
type panel struct {
	lines func() []Styled
}

// Terminal returns the screen on a file that is a terminal; nil for any other, and
// if the environment asks for plain lines.
func Terminal(f *os.File, getenv func(string) string) *Screen {
	if !term.IsTerminal(int(f.Fd())) || getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" || getenv("TERM") == "" {
		return nil
	}
	return &Screen{out: f, size: func() (int, int) {
		columns, rows, err := term.GetSize(int(f.Fd()))
		if err != nil || columns == 0 || rows == 0 {
			return 80, 24
		}
		return columns, rows
	}}
}

// Above returns a writer to w, the screen itself or a file that may be the same
// terminal, that keeps the live lines below what it writes.
func (s *Screen) Above(w io.Writer) io.Writer {
	if s == nil {
		return w
	}
	return aboveWriter{screen: s, out: w}
}

type aboveWriter struct {
	screen *Screen
	out    io.Writer
}

// Write writes whole lines.
func (w aboveWriter) Write(p []byte) (n int, err error) {
	w.screen.above(bytes.HasSuffix(p, []byte("\n")), func() { n, err = w.out.Write(p) })
	return n, err
}

func (w aboveWriter) writeStyled(text Styled) (err error) {
	w.screen.above(strings.HasSuffix(string(text), "\n"), func() { err = WriteStyled(w.out, text) })
	return err
}

// above writes something above the live lines. It ends the last line, unless that
// has ended.
func (s *Screen) above(ended bool, write func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.panels) == 0 {
		write()
		return
	}
	_, _ = io.WriteString(s.out, s.erase())
	write()
	if !ended {
		_, _ = io.WriteString(s.out, "\n")
	}
	_, _ = io.WriteString(s.out, strings.Join(s.drawn, ""))
}

// Open shows the lines that a function returns, redrawn until closePanel.
func (s *Screen) Open(lines func() []Styled) (closePanel func()) {
	if s == nil {
		return func() {}
	}
	p := &panel{lines: lines}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.panels = append(s.panels, p)
	if len(s.panels) == 1 {
		s.stop = make(chan struct{})
		go s.redraw(s.stop)
	}
	return sync.OnceFunc(func() { s.close(p) })
}

func (s *Screen) close(p *panel) {
	s.mu.Lock()
	s.panels = slices.DeleteFunc(slices.Clone(s.panels), func(other *panel) bool { return other == p })
	if len(s.panels) == 0 {
		close(s.stop)
	}
	s.mu.Unlock()
	s.draw()
}

// redraw draws until stop is closed.
func (s *Screen) redraw(stop <-chan struct{}) {
	ticker := time.NewTicker(RedrawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			s.draw()
		}
	}
}

// draw draws the live lines over the previous ones.
func (s *Screen) draw() {
	s.drawing.Lock()
	defer s.drawing.Unlock()
	s.mu.Lock()
	panels := s.panels
	s.mu.Unlock()
	var lines []Styled
	for _, p := range panels {
		lines = append(lines, p.lines()...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.erase()
	s.drawn = s.fit(lines)
	_, _ = io.WriteString(s.out, before+strings.Join(s.drawn, ""))
}

// erase removes the live lines from the terminal, which has wrapped long ones if it
// has become narrower.
func (s *Screen) erase() string {
	columns, _ := s.size()
	rows := 0
	for _, line := range s.drawn {
		rows += max(1, (ansi.StringWidth(line)+columns-1)/columns)
	}
	if rows == 0 {
		return ""
	}
	return "\r" + ansi.CursorUp(rows) + ansi.EraseScreenBelow
}

// fit truncates the lines so that each has one row and all are on the terminal.
func (s *Screen) fit(lines []Styled) []string {
	columns, rows := s.size()
	if room := max(1, rows-2); len(lines) > room {
		left := len(lines) - room + 1
		lines = append(slices.Clone(lines[:room-1]), Styled(fmt.Sprintf("        … and %d more", left)))
	}
	fitting := make([]string, 0, len(lines))
	for _, line := range lines {
		// The last column is left free: some terminals go on to the next row.
		row := strings.NewReplacer("\n", " ", "\t", " ").Replace(string(line))
		fitting = append(fitting, ansi.Truncate(row, columns-1, "…")+"\n")
	}
	return fitting
}
