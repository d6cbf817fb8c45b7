package ui

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/display"
)

// One redrawing, as ten times a second, of a deploy that waits for 20 steps.
func BenchmarkScreen(b *testing.B) {
	lines := make([]Styled, 20)
	for i := range lines {
		lines[i] = Styled(fmt.Sprintf("  1.20s ⠋ shop-%d: build  (1.2s): STEP 4/12: RUN go build ./... and a good deal more than fits", i))
	}
	s := &Screen{out: io.Discard, size: display.New(80, 24).Size}
	s.panels = []*panel{{lines: func() []Styled { return lines }}}
	b.ReportAllocs()
	for b.Loop() {
		s.draw()
		require.Len(b, s.drawn, len(lines))
	}
}
