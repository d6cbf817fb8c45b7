package onnode_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
)

// printer runs a container that prints what the test sends.
func (h *host) printer(t *testing.T, name string, lines ...string) string {
	t.Helper()
	id, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: name, Image: image})
	require.NoError(t, err)
	h.engine.Print(name, lines...)
	return id
}

// logs reads one source.
func (h *host) logs(t *testing.T, in onnode.LogsInput) onnode.SourceLogs {
	t.Helper()
	if in.Bytes == 0 {
		in.Bytes = 1 << 20
	}
	value, err := h.env.ExecuteActivity(h.ContainerLogs, in)
	require.NoError(t, err)
	var result onnode.LogsResult
	require.NoError(t, value.Get(&result))
	require.Len(t, result.Sources, len(in.Sources))
	return result.Sources[0]
}

func apiLogs(marks map[string]runtime.LogMark) []onnode.LogSource {
	return []onnode.LogSource{{Component: "api", Container: "shop-api", Marks: marks}}
}

func textOf(s onnode.SourceLogs) []string {
	var texts []string
	for _, line := range s.Lines {
		texts = append(texts, line.Text)
	}
	return texts
}

// behind follows from where the last answer ended.
func (h *host) behind(t *testing.T, last onnode.SourceLogs) onnode.SourceLogs {
	t.Helper()
	return h.logs(t, onnode.LogsInput{Sources: apiLogs(last.Marks), Wait: 5 * time.Second})
}

func TestLogsAreTheLastLinesOfTheQuery(t *testing.T) {
	h := newHost(t)
	h.printer(t, "shop-api", "one", "two", "three")
	last := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 2})
	require.Equal(t, []string{"two", "three"}, textOf(last))
	require.False(t, last.Cut, "no more was asked for")
	require.Equal(t, []string{"one", "two", "three"}, textOf(h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 9, Since: time.Hour})))

	none := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 0})
	require.Empty(t, none.Lines)
	h.engine.Print("shop-api", "four")
	require.Equal(t, []string{"four"}, textOf(h.behind(t, none)))
}

func TestLogsThatAreTooLongLoseTheirBeginningAndAreMarkedCut(t *testing.T) {
	h := newHost(t)
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("%02d%s", i, strings.Repeat("\x1b", 1000))) // each takes six bytes on its way
	}
	h.printer(t, "shop-api", lines...)
	got := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 1000, Bytes: 50_000})
	require.True(t, got.Cut)
	require.Equal(t, lines[92:], textOf(got))
}

func TestAnAbsentContainerIsReportedAndAwaited(t *testing.T) {
	h := newHost(t)
	got := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 9})
	require.True(t, got.Absent)
	h.printer(t, "shop-api", "here")
	require.Equal(t, []string{"here"}, textOf(h.behind(t, got)))
}

func TestAFollowReturnsEachLineOnceThroughRestartsAndReplacements(t *testing.T) {
	h := newHost(t)
	h.printer(t, "shop-api", "one", "two") // at one time
	got := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 1})
	require.Equal(t, []string{"two"}, textOf(got))

	h.engine.Print("shop-api", "three")
	got = h.behind(t, got)
	require.Equal(t, []string{"three"}, textOf(got))

	require.NoError(t, h.engine.Stop(t.Context(), "shop-api", 0))
	time.AfterFunc(50*time.Millisecond, func() {
		h.engine.Print("shop-api", "four")
		_ = h.engine.Start(context.Background(), "shop-api")
	})
	got = h.behind(t, got)
	require.Equal(t, []string{"four"}, textOf(got))

	require.NoError(t, h.engine.Rename(t.Context(), "shop-api", "shop-api.prev"))
	h.printer(t, "shop-api", "I am new")
	h.engine.Print("shop-api.prev", "goodbye")
	require.Len(t, got.Marks, 1)
	got = h.behind(t, got)
	if len(got.Lines) == 1 { // whichever came first
		next := h.behind(t, got)
		got.Lines = append(got.Lines, next.Lines...)
		got.Marks = next.Marks
	}
	require.ElementsMatch(t, []string{"goodbye", "I am new"}, textOf(got))
	require.Len(t, got.Marks, 2)

	require.NoError(t, h.engine.Remove(t.Context(), "shop-api.prev"))
	h.engine.Print("shop-api", "still here")
	got = h.behind(t, got)
	require.Equal(t, []string{"still here"}, textOf(got))
	require.Len(t, got.Marks, 1, "what is gone is forgotten")
}

func TestAFollowShowsWhatAContainerPrintsWhileItStops(t *testing.T) {
	h := newHost(t)
	_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api", Image: image, Command: []string{"/app", "end", "400ms", "goodbye"}})
	require.NoError(t, err)
	got := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 9})
	require.Equal(t, []string{"ready"}, textOf(got))
	stopped := make(chan error, 1)
	go func() { stopped <- h.engine.Stop(context.Background(), "shop-api", time.Minute) }()
	require.Equal(t, []string{"goodbye"}, textOf(h.behind(t, got)))
	require.NoError(t, <-stopped)
}

func TestAFollowShowsARunThatEndsAtOnce(t *testing.T) {
	h := newHost(t)
	h.printer(t, "shop-api", "one")
	got := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 9})
	require.NoError(t, h.engine.Stop(t.Context(), "shop-api", 0))
	time.AfterFunc(700*time.Millisecond, func() { // while the follow waits for the next run
		_ = h.engine.Start(context.Background(), "shop-api")
		h.engine.Print("shop-api", "no such table")
		_ = h.engine.Stop(context.Background(), "shop-api", 0)
	})
	require.Equal(t, []string{"no such table"}, textOf(h.behind(t, got)))
}

func TestAFollowWithMoreThanAnAnswerHoldsGoesOnWhereThatEnded(t *testing.T) {
	h := newHost(t)
	h.printer(t, "shop-api")
	got := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 9})
	var want, all []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("%02d%s", i, strings.Repeat("x", 1000)))
	}
	h.engine.Print("shop-api", want...)
	for len(all) < len(want) {
		got = h.logs(t, onnode.LogsInput{Sources: apiLogs(got.Marks), Wait: 5 * time.Second, Bytes: 10_000})
		require.Len(t, got.Lines, min(9, len(want)-len(all)))
		all = append(all, textOf(got)...)
	}
	require.Equal(t, want, all)
}

func TestAFollowOfNothingEndsWithItsWait(t *testing.T) {
	h := newHost(t)
	h.printer(t, "shop-api", "one")
	got := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 9})
	idle := h.logs(t, onnode.LogsInput{Sources: apiLogs(got.Marks), Wait: 100 * time.Millisecond})
	require.Empty(t, idle.Lines)
	require.Equal(t, len(got.Marks), len(idle.Marks))
}

func TestAnEngineThatIsDownIsReported(t *testing.T) {
	h := newHost(t)
	h.printer(t, "shop-api")
	h.engine.SetDown(true)
	for _, wait := range []time.Duration{0, 50 * time.Millisecond} {
		_, err := h.env.ExecuteActivity(h.ContainerLogs, onnode.LogsInput{Sources: apiLogs(nil), Lines: 9, Wait: wait, Bytes: 1000})
		require.Equal(t, fault.Unavailable, attempt.FaultOf(err).Kind)
		require.Equal(t, "rift", attempt.FaultOf(err).Node)
	}
}

func TestACommandEndsWithItsCodeAndItsOutputApart(t *testing.T) {
	h := newHost(t)
	h.engine.Program = runtime.TestProgram
	h.printer(t, "shop-api")
	run := func(timeout time.Duration, command ...string) (runtime.ExecResult, error) {
		value, err := h.env.ExecuteActivity(h.Exec, onnode.ExecInput{Component: "api", Container: "shop-api", Command: command, Timeout: timeout})
		var result runtime.ExecResult
		if err == nil {
			err = value.Get(&result)
		}
		return result, err
	}
	result, err := run(time.Second, "/app", "exit", "4")
	require.NoError(t, err)
	require.Equal(t, 4, result.ExitCode)
	require.Equal(t, "exiting with 4\n", string(result.Stderr))
	require.Empty(t, result.Stdout)

	_, err = run(50*time.Millisecond, "/app", "sleep", "1h")
	require.Contains(t, attempt.FaultOf(err).Message, "has not ended after 50ms")
	require.False(t, errors.Is(err, context.DeadlineExceeded))
}

// serving runs shop-api as a container of the service that a follow has read.
func (h *host) serving(t *testing.T) onnode.SourceLogs {
	t.Helper()
	require.Nil(t, h.run(api(1)))
	require.Nil(t, h.cutOver(1))
	h.engine.Print("shop-api", "one")
	got := h.logs(t, onnode.LogsInput{Sources: apiLogs(nil), Lines: 1})
	h.engine.Print("shop-api", "two")
	got = h.behind(t, got)
	require.Equal(t, []string{"two"}, textOf(got))
	return got
}

func TestAFollowShowsASuccessorThatNeverTakesOver(t *testing.T) {
	h := newHost(t)
	got := h.serving(t)
	_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api.next", Image: image, Labels: map[string]string{runtime.LabelService: "shop"}})
	require.NoError(t, err)
	h.engine.Print("shop-api.next", "no such table")
	got = h.behind(t, got)
	require.Equal(t, []string{"no such table"}, textOf(got))
	require.Equal(t, "shop-api.next", got.Lines[0].Container)
	h.engine.Print("shop-api", "three")
	got = h.behind(t, got)
	require.Equal(t, []string{"three"}, textOf(got))
	require.Empty(t, got.Lines[0].Container)
	require.NoError(t, h.engine.Remove(t.Context(), "shop-api.next"))
	h.engine.Print("shop-api", "four")
	got = h.behind(t, got)
	require.Equal(t, []string{"four"}, textOf(got))
	require.Len(t, got.Marks, 1)
}

// A follow is one read after another: what a container prints at its end may come
// between two of them, and its removal too.
func TestAContainerThatHasEndedIsRemovedWhenItsReadersHaveItsLastLines(t *testing.T) {
	for name, test := range map[string]struct {
		container string
		begin     func(t *testing.T, h *host)
		remove    func(h *host) *fault.Error
	}{
		"a predecessor": {
			"shop-api.prev",
			func(t *testing.T, h *host) {
				require.Nil(t, h.run(api(2)))
				require.Nil(t, h.cutOver(2))
			},
			func(h *host) *fault.Error { return h.retire(2) },
		},
		"a successor that has failed, and that no read has found": {
			"shop-api.next",
			func(t *testing.T, h *host) { require.Nil(t, h.run(api(2))) },
			func(h *host) *fault.Error {
				return h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 2, Recovery: plan.Recovery{Remove: fleet.Refs("shop-api.next")}})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			got := h.serving(t)
			test.begin(t, h)
			require.NoError(t, h.engine.Stop(t.Context(), test.container, 0))
			h.engine.Print(test.container, "goodbye")
			before := len(h.engine.Calls())
			removed := make(chan *fault.Error, 1)
			go func() { removed <- test.remove(h.beside(context.Background())) }()
			require.Eventually(t, func() bool { // it has begun
				return slices.Contains(h.engine.Calls()[before:], runtime.FakeCall{Method: "Inspect", Name: test.container})
			}, 10*time.Second, time.Millisecond)
			for !slices.Contains(textOf(got), "goodbye") {
				got = h.behind(t, got)
				require.NotEmpty(t, got.Lines, "its last line")
			}
			require.Nil(t, <-removed)
			require.NotContains(t, strings.Join(h.names(t), " "), test.container)
		})
	}
}

func TestNoRemovalWaitsForAReaderThatHasGone(t *testing.T) {
	h := newHost(t)
	h.serving(t)
	require.Nil(t, h.run(api(2)))
	require.Nil(t, h.cutOver(2))
	require.Nil(t, h.retire(2), "for longer than a short time")
	require.NotContains(t, strings.Join(h.names(t), " "), "shop-api.prev")
}
