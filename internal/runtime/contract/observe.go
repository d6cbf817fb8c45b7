package contract

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

func (s *suite) testObserve(t *testing.T) {
	t.Run("a running container has an image, labels and a start time", func(t *testing.T) {
		spec := s.spec(t, "contract-running")
		before := time.Now().Add(-time.Second)
		id := s.run(t, spec)
		info := s.inspect(t, spec.Name)
		require.Equal(t, id, info.ID)
		require.Equal(t, spec.Name, info.Name)
		require.Equal(t, spec.Image, info.Image)
		require.NotEmpty(t, info.Digest)
		require.Equal(t, runtime.Running, info.State)
		require.Zero(t, info.Restarts)
		require.WithinRange(t, info.Started, before, time.Now().Add(time.Second))
		for key, value := range spec.Labels {
			require.Equal(t, value, info.Labels[key], key)
		}
	})

	t.Run("a container lists the host's paths that are mounted in it", func(t *testing.T) {
		spec := s.spec(t, "contract-mounts")
		a, b := t.TempDir(), t.TempDir()
		spec.Volumes = []string{b + ":/b:ro", a + ":/a"}
		s.run(t, spec)
		require.ElementsMatch(t, []string{a, b}, s.inspect(t, spec.Name).Volumes)
		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
		require.ElementsMatch(t, []string{a, b}, s.inspect(t, spec.Name).Volumes, "running or not")
	})

	t.Run("a container has its own stop timeout, rounded up to whole seconds", func(t *testing.T) {
		for i, timeout := range []time.Duration{0, 1500 * time.Millisecond, 40 * time.Second} {
			spec := s.spec(t, fmt.Sprintf("contract-patience-%d", i))
			spec.StopTimeout = timeout
			s.run(t, spec)
			require.Equal(t, []time.Duration{0, 2 * time.Second, 40 * time.Second}[i], s.inspect(t, spec.Name).StopTimeout)
		}
	})

	t.Run("an exited container keeps its exit code and its output", func(t *testing.T) {
		spec := s.spec(t, "contract-exits", "/app", "exit", "3")
		s.run(t, spec)
		info := s.awaitStopped(t, spec.Name)
		require.Equal(t, 3, info.ExitCode)
		require.False(t, info.Started.IsZero())
		require.WithinDuration(t, info.Started, info.Finished, time.Minute) // by two clocks: that of a short program may be the earlier
		s.awaitLogs(t, spec.Name, []string{"exiting with 3"})
	})

	t.Run("logs are the last lines, oldest first", func(t *testing.T) {
		spec := s.spec(t, "contract-logs", "/app", "print", "one", "two", "three")
		s.run(t, spec)
		s.awaitLogs(t, spec.Name, []string{"one", "two", "three"})
		last, err := runtime.LastLines(t.Context(), s.Runtime, spec.Name, 2, 3)
		require.NoError(t, err)
		require.Equal(t, []string{"two", "thr"}, last)
		for _, more := range []int{3, 4, 1000, 0} {
			all, err := s.logs(t, spec.Name, runtime.LogQuery{Tail: more})
			require.NoError(t, err)
			require.Equal(t, []string{"one", "two", "three"}, texts(all), more)
		}
		some, err := s.logs(t, spec.Name, runtime.LogQuery{Tail: 1})
		require.NoError(t, err)
		all, err := s.logs(t, spec.Name, runtime.LogQuery{})
		require.NoError(t, err)
		before := len(all) - len(some)
		require.Equal(t, all[before:], some)
		if before > 0 {
			require.NotEqual(t, all[before-1].Time, some[0].Time, "all lines that share a time, or none")
		}
	})

	t.Run("a line has the time at which it was written, and its stream", func(t *testing.T) {
		before := time.Now().Add(-time.Second)
		out, complaint := s.spec(t, "contract-stdout", "/app", "print", "fine"), s.spec(t, "contract-stderr", "/app", "exit", "3")
		s.run(t, out)
		s.run(t, complaint)
		s.awaitLogs(t, out.Name, []string{"fine"})
		s.awaitLogs(t, complaint.Name, []string{"exiting with 3"})
		for name, stream := range map[string]string{out.Name: "stdout", complaint.Name: "stderr"} {
			lines, err := s.logs(t, name, runtime.LogQuery{})
			require.NoError(t, err)
			require.Equal(t, stream, lines[0].Stream)
			require.WithinRange(t, lines[0].Time, before, time.Now().Add(time.Second))
		}
	})

	t.Run("logs since a line's time begin with that line, and end when each returns false", func(t *testing.T) {
		spec := s.spec(t, "contract-since", "/app", "print", "one", "two")
		s.run(t, spec)
		s.awaitLogs(t, spec.Name, []string{"one", "two"})
		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
		stopped := time.Now()
		require.Eventually(t, func() bool { return time.Now().Unix() > stopped.Unix() }, 2*time.Second, 10*time.Millisecond)
		require.NoError(t, s.Runtime.Start(t.Context(), spec.Name))
		s.awaitLogs(t, spec.Name, []string{"one", "two", "one", "two"})
		all, err := s.logs(t, spec.Name, runtime.LogQuery{})
		require.NoError(t, err)
		for _, q := range []runtime.LogQuery{{Since: all[2].Time}, {Since: all[2].Time, Tail: 4}} {
			later, err := s.logs(t, spec.Name, q)
			require.NoError(t, err)
			require.Equal(t, all[2:], later)
		}
		none, err := s.logs(t, spec.Name, runtime.LogQuery{Since: all[3].Time.Add(time.Second)})
		require.NoError(t, err)
		require.Empty(t, none)
		var first []runtime.LogLine
		require.NoError(t, s.Runtime.Logs(t.Context(), spec.Name, runtime.LogQuery{}, func(line runtime.LogLine) bool {
			first = append(first, line)
			return false
		}))
		require.Equal(t, all[:1], first)
	})

	t.Run("a line that is too long is cut, and its neighbours are complete", func(t *testing.T) {
		long := strings.Repeat("0123456789", 4000)
		spec := s.spec(t, "contract-long", "/app", "print", "before", long, "after")
		s.run(t, spec)
		want := []string{"before", long[:runtime.MaxLogLine], "after"}
		s.awaitLogs(t, spec.Name, want)
		last, err := runtime.LastLines(t.Context(), s.Runtime, spec.Name, 2, runtime.MaxLogLine)
		require.NoError(t, err)
		require.Equal(t, want[1:], last)
	})

	t.Run("a follow returns each line once until the container ends, and can be resumed there", func(t *testing.T) {
		spec := s.spec(t, "contract-follow", "/app", "print", "one", "two")
		s.run(t, spec)
		var mark runtime.LogMark
		for range 3 {
			lines, ended := make(chan runtime.LogLine, 100), make(chan error, 1)
			go func() {
				ended <- mark.Read(t.Context(), s.Runtime, spec.Name, true, func(line runtime.LogLine) bool {
					lines <- line
					return true
				})
			}()
			var read []runtime.LogLine
			for range 2 {
				read = append(read, <-lines)
			}
			require.Equal(t, []string{"one", "two"}, texts(read))
			require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
			require.NoError(t, <-ended)
			require.Empty(t, lines)
			mark.Pass(read[0])
			mark.Pass(read[1])
			require.NoError(t, s.Runtime.Start(t.Context(), spec.Name))
		}
	})

	t.Run("a follow returns what a container prints while it stops", func(t *testing.T) {
		spec := s.spec(t, "contract-ending", "/app", "end", "1500ms", "goodbye")
		s.run(t, spec)
		lines, ended := make(chan runtime.LogLine, 100), make(chan error, 1)
		go func() {
			ended <- s.Runtime.Logs(t.Context(), spec.Name, runtime.LogQuery{Follow: true}, func(line runtime.LogLine) bool {
				lines <- line
				return true
			})
		}()
		require.Equal(t, "ready", (<-lines).Text)
		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Minute))
		require.NoError(t, <-ended)
		require.Len(t, lines, 1)
		require.Equal(t, "goodbye", (<-lines).Text)
		require.Zero(t, s.inspect(t, spec.Name).ExitCode)
	})

	t.Run("a follow ends when its context does, and returns its error", func(t *testing.T) {
		spec := s.spec(t, "contract-follow-cancelled")
		s.run(t, spec)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := s.Runtime.Logs(ctx, spec.Name, runtime.LogQuery{Follow: true}, func(runtime.LogLine) bool { return true })
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})

	t.Run("a command in a container returns its exit code and output", func(t *testing.T) {
		spec := s.spec(t, "contract-exec")
		s.run(t, spec)
		result, err := s.Runtime.Exec(t.Context(), spec.Name, []string{"/app", "echo", "one", "two"})
		require.NoError(t, err)
		require.Zero(t, result.ExitCode)
		require.Equal(t, "one\ntwo\n", string(result.Stdout))
		require.Empty(t, result.Stderr)
		result, err = s.Runtime.Exec(t.Context(), spec.Name, []string{"/app", "exit", "4"})
		require.NoError(t, err)
		require.Equal(t, 4, result.ExitCode)
		require.Empty(t, result.Stdout)
		require.Equal(t, "exiting with 4\n", string(result.Stderr))
		require.False(t, result.Truncated)
	})

	t.Run("a program that uses more than its memory is reported as such", func(t *testing.T) {
		spec := s.spec(t, "contract-memory", "/app", "fill", "256")
		spec.Memory = 32 << 20
		s.run(t, spec)
		info := s.awaitStopped(t, spec.Name)
		require.EqualValues(t, 32<<20, info.Memory)
		require.Regexp(t, "killed.*more than its memory, 32mib$", info.End())
		failure := info.Failure([]string{"last"})
		require.Equal(t, fault.Invalid, failure.Kind)
		require.Contains(t, failure.Hint, "raise memory")
		require.Equal(t, []string{"last"}, failure.Log)
	})

	t.Run("the output of a command that prints too much is cut at its end", func(t *testing.T) {
		spec := s.spec(t, "contract-exec-much")
		s.run(t, spec)
		command := []string{"/app", "echo"}
		for range 5 {
			command = append(command, strings.Repeat("x", 100_000))
		}
		result, err := s.Runtime.Exec(t.Context(), spec.Name, command)
		require.NoError(t, err)
		require.True(t, result.Truncated)
		require.Len(t, result.Stdout, runtime.MaxExecOutput)
	})

	t.Run("a command that is not in the container is Invalid", func(t *testing.T) {
		spec := s.spec(t, "contract-exec-missing")
		s.run(t, spec)
		_, err := s.Runtime.Exec(t.Context(), spec.Name, []string{"/nosuchcommand"})
		requireKind(t, fault.Invalid, err)
	})

	t.Run("a command that outlasts its context returns the context's error", func(t *testing.T) {
		spec := s.spec(t, "contract-exec-slow")
		s.run(t, spec)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Runtime.Exec(ctx, spec.Name, []string{"/app", "sleep", "8s"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})

	t.Run("a command in a stopped container is Unhealthy", func(t *testing.T) {
		spec := s.spec(t, "contract-exec-stopped")
		s.run(t, spec)
		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
		_, err := s.Runtime.Exec(t.Context(), spec.Name, []string{"/app", "echo"})
		requireKind(t, fault.Unhealthy, err)
	})

	t.Run("the engine reports its storage, its network backend and its version of cgroups", func(t *testing.T) {
		for range 2 {
			about, err := s.Runtime.Info(t.Context())
			require.NoError(t, err)
			require.DirExists(t, about.Storage)
			require.Regexp(t, `^(netavark|cni)$`, about.Network)
			require.Regexp(t, `^v[12]$`, about.Cgroups)
		}
	})

	t.Run("lists and summaries hold the containers with all of the labels, running or not", func(t *testing.T) {
		a, b := s.spec(t, "contract-list-a"), s.spec(t, "contract-list-b", "/app", "exit", "5")
		a.Labels, b.Labels = labels("7", "a"), labels("8", "a")
		for i := range 2 {
			a.Ports = append(a.Ports, servicedef.Port{IP: "127.0.0.1", Host: freePort(t), Container: 8080 + i, Protocol: "tcp"})
		}
		slices.SortFunc(a.Ports, func(a, b servicedef.Port) int { return a.Host - b.Host })
		s.run(t, a)
		s.run(t, b)
		s.awaitStopped(t, b.Name)
		for _, c := range []struct {
			labels map[string]string
			want   []string
		}{
			{map[string]string{runtime.LabelSpec: ""}, []string{a.Name, b.Name}},
			{map[string]string{runtime.LabelSpec: "a", runtime.LabelDeployment: "8"}, []string{b.Name}},
			{map[string]string{runtime.LabelSpec: "a", runtime.LabelDeployment: "9"}, nil},
			{nil, []string{a.Name, b.Name}},
		} {
			infos, err := s.Runtime.List(t.Context(), c.labels)
			require.NoError(t, err)
			names, short := []string(nil), []runtime.ContainerSummary{}
			for _, info := range infos {
				names, short = append(names, info.Name), append(short, info.Summary())
				require.Equal(t, s.inspect(t, info.Name), info, "a list and an inspection agree")
			}
			require.Equal(t, c.want, names)
			summaries, err := s.Runtime.Summaries(t.Context(), runtime.Selection{Labels: c.labels})
			require.NoError(t, err)
			require.Equal(t, short, summaries)
		}
	})

	t.Run("summaries can be selected by names, which match exactly and are no patterns", func(t *testing.T) {
		a, b := s.spec(t, "contract-name-a"), s.spec(t, "contract-name-a.next")
		a.Labels, b.Labels = labels("7", "a"), labels("8", "a")
		id := s.run(t, a)
		s.run(t, b)
		for _, c := range []struct {
			selection runtime.Selection
			want      []string
		}{
			{runtime.Selection{Names: []string{a.Name, "contract-absent"}}, []string{a.Name}},
			{runtime.Selection{Names: []string{b.Name, a.Name}}, []string{a.Name, b.Name}},
			{runtime.Selection{Names: []string{"contract-name-a.n", "contract-name-.", "name-a.next", id[:12]}}, nil},
			{runtime.Selection{Names: []string{a.Name, b.Name}, Labels: map[string]string{runtime.LabelDeployment: "8"}}, []string{b.Name}},
		} {
			summaries, err := s.Runtime.Summaries(t.Context(), c.selection)
			require.NoError(t, err)
			var names []string
			for _, summary := range summaries {
				names = append(names, summary.Name)
			}
			require.Equal(t, c.want, names)
		}
	})
}

// awaitLogs waits until a container's log, which may lag, holds these lines.
func (s *suite) awaitLogs(t *testing.T, name string, want []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		lines, err := s.logs(t, name, runtime.LogQuery{})
		return err == nil && slices.Equal(texts(lines), want)
	}, 10*time.Second, 20*time.Millisecond, "logs of %s", name)
}

// logs returns all lines that a query selects.
func (s *suite) logs(t *testing.T, name string, q runtime.LogQuery) ([]runtime.LogLine, error) {
	t.Helper()
	var lines []runtime.LogLine
	err := s.Runtime.Logs(t.Context(), name, q, func(line runtime.LogLine) bool {
		lines = append(lines, line)
		return true
	})
	return lines, err
}

func texts(lines []runtime.LogLine) []string {
	var all []string
	for _, line := range lines {
		all = append(all, line.Text)
	}
	return all
}

func (s *suite) testDown(t *testing.T) {
	t.Run("a service that is down is Unavailable, and its containers outlast the outage", func(t *testing.T) {
		spec := s.spec(t, "contract-survivor")
		id := s.run(t, spec)
		s.SetDown(true)
		defer s.SetDown(false)
		_, err := s.Runtime.Version(t.Context())
		require.Contains(t, requireKind(t, fault.Unavailable, err).Message, ".sock")
		_, err = s.Runtime.Info(t.Context())
		requireKind(t, fault.Unavailable, err)
		_, err = s.Runtime.List(t.Context(), nil)
		requireKind(t, fault.Unavailable, err)
		_, err = s.Runtime.Summaries(t.Context(), runtime.Selection{})
		requireKind(t, fault.Unavailable, err)
		_, err = s.Runtime.ImageExists(t.Context(), s.image)
		requireKind(t, fault.Unavailable, err)
		_, err = s.Runtime.PruneImage(t.Context(), s.image)
		requireKind(t, fault.Unavailable, err)
		_, err = s.Runtime.Run(t.Context(), spec)
		requireKind(t, fault.Unavailable, err)
		requireKind(t, fault.Unavailable, s.Runtime.Remove(t.Context(), spec.Name))

		s.SetDown(false)
		version, err := s.Runtime.Version(t.Context())
		require.NoError(t, err)
		require.Regexp(t, `^\S+ \d+\.\d+`, version)
		about, err := s.Runtime.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, version, about.Version)
		info := s.inspect(t, spec.Name)
		require.Equal(t, id, info.ID)
		require.Equal(t, runtime.Running, info.State)
	})
}
