package ui

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/display"
)

// on is the screen of a terminal.
func on(d *display.Display) *Screen { return &Screen{out: d, size: d.Size} }

func TestLiveLinesStayBelowThoseThatStay(t *testing.T) {
	d := display.New(40, 10)
	s := on(d)
	stderr := s.Above(d)
	_, _ = io.WriteString(stderr, "before\n")
	live := []Styled{"one", "two"}
	closePanel := s.Open(func() []Styled { return live })
	s.draw()
	require.Equal(t, "before\none\ntwo", d.Text())
	_, _ = io.WriteString(stderr, "done: one\n")
	require.Equal(t, "before\ndone: one\none\ntwo", d.Text())
	live = []Styled{"two"}
	s.draw()
	require.Equal(t, "before\ndone: one\ntwo", d.Text())
	_, _ = io.WriteString(stderr, "no end of line")
	require.Equal(t, "before\ndone: one\nno end of line\ntwo", d.Text())
	closePanel()
	closePanel() // twice is once
	require.Equal(t, "before\ndone: one\nno end of line", d.Text())
	_, _ = io.WriteString(stderr, "after\n")
	require.Equal(t, "before\ndone: one\nno end of line\nafter", d.Text())
}

func TestLiveLinesFitTheTerminal(t *testing.T) {
	for _, c := range []struct {
		name          string
		columns, rows int
		lines         []Styled
		want          string
	}{
		{"wide", 30, 10, []Styled{"web: run on local  (1.2s): pull"}, "web: run on local  (1.2s): p…"},
		{"20 columns", 20, 10, []Styled{"web: run on local  (1.2s): pull", "✓ 世界世界世界世界世界"}, "web: run on local …\n✓ 世界世界世界世界…"},
		{"few rows", 40, 5, []Styled{"a", "b", "c", "d", "e"}, "a\nb\n        … and 3 more"},
		{"one row", 40, 1, []Styled{"a", "b"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := display.New(c.columns, c.rows)
			s := on(d)
			closePanel := s.Open(func() []Styled { return c.lines })
			for range 3 {
				s.draw()
			}
			require.Equal(t, c.want, d.Text())
			closePanel()
			require.Empty(t, d.Text())
		})
	}
}

// A line that stays may be longer than the terminal is wide, and there may be
// more of them than it has rows: what scrolls away is whole.
func TestLongLinesScrollAway(t *testing.T) {
	d := display.New(20, 5)
	s := on(d)
	stderr := s.Above(d)
	closePanel := s.Open(func() []Styled { return []Styled{"live"} })
	for i := range 30 {
		s.draw()
		_, _ = fmt.Fprintf(stderr, "line %d of more than twenty columns\n", i)
	}
	require.Equal(t, " twenty columns\nline 29 of more than\n twenty columns\nlive", d.Text())
	closePanel()
}

// Two deploys share a terminal, and one of them writes while it is asked.
func TestPanelsShareATerminal(t *testing.T) {
	d := display.New(40, 10)
	s := on(d)
	stderr := s.Above(d)
	closeA := s.Open(func() []Styled {
		_, _ = io.WriteString(stderr, "asked\n")
		return []Styled{"a"}
	})
	closeB := s.Open(func() []Styled { return []Styled{"b"} })
	s.draw()
	require.Regexp(t, `(asked\n)+a\nb$`, d.Text())
	closeA()
	require.Regexp(t, `(asked\n)+b$`, d.Text())
	closeB()
	require.Regexp(t, `^(asked\n)*asked$`, d.Text())
}

// Where there is no terminal there is no screen, and output is unchanged.
func TestWithoutAScreen(t *testing.T) {
	var none *Screen
	var out bytes.Buffer
	require.Same(t, &out, none.Above(&out))
	none.Open(func() []Styled { panic("asked") })()
}
