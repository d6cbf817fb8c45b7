package contract

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

func (s *suite) testObserve(t *testing.T) {
	t.Run("a running container tells its image, labels and when it started", func(t *testing.T) {
		spec := s.spec(t, "contract-told")
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

	t.Run("a container tells which paths of the host are mounted in it", func(t *testing.T) {
		spec := s.spec(t, "contract-mounts")
		a, b := t.TempDir(), t.TempDir()
		spec.Volumes = []string{b + ":/b:ro", a + ":/a"}
		s.run(t, spec)
		require.ElementsMatch(t, []string{a, b}, s.inspect(t, spec.Name).Volumes)
		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
		require.ElementsMatch(t, []string{a, b}, s.inspect(t, spec.Name).Volumes, "running or not")
	})

	t.Run("a container that has exited keeps its exit code and its output", func(t *testing.T) {
		spec := s.spec(t, "contract-exits", "/app", "exit", "3")
		s.run(t, spec)
		info := s.awaitStopped(t, spec.Name)
		require.Equal(t, 3, info.ExitCode)
		require.False(t, info.Started.IsZero())
		s.awaitLogs(t, spec.Name, []string{"exiting with 3"})
	})

	t.Run("logs are the last lines, oldest first", func(t *testing.T) {
		spec := s.spec(t, "contract-logs", "/app", "print", "one", "two", "three")
		s.run(t, spec)
		s.awaitLogs(t, spec.Name, []string{"one", "two", "three"})
		last, err := s.Runtime.Logs(t.Context(), spec.Name, 2)
		require.NoError(t, err)
		require.Equal(t, []string{"two", "three"}, last)
		none, err := s.Runtime.Logs(t.Context(), spec.Name, 0)
		require.NoError(t, err)
		require.Empty(t, none)
	})

	t.Run("a command in a container gives its exit code and output", func(t *testing.T) {
		spec := s.spec(t, "contract-exec")
		s.run(t, spec)
		code, output, err := s.Runtime.Exec(t.Context(), spec.Name, []string{"/app", "echo", "one", "two"})
		require.NoError(t, err)
		require.Zero(t, code)
		require.Equal(t, "one\ntwo\n", output)
		code, output, err = s.Runtime.Exec(t.Context(), spec.Name, []string{"/app", "exit", "4"})
		require.NoError(t, err)
		require.Equal(t, 4, code)
		require.Contains(t, output, "exiting with 4")
	})

	t.Run("a command that is not in the container is Invalid", func(t *testing.T) {
		spec := s.spec(t, "contract-exec-missing")
		s.run(t, spec)
		_, _, err := s.Runtime.Exec(t.Context(), spec.Name, []string{"/nosuchcommand"})
		requireKind(t, fault.Invalid, err)
	})

	t.Run("a command that goes on for too long ends with the context's error", func(t *testing.T) {
		spec := s.spec(t, "contract-exec-slow")
		s.run(t, spec)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := s.Runtime.Exec(ctx, spec.Name, []string{"/app", "sleep", "8s"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})

	t.Run("a container that does not run takes no command", func(t *testing.T) {
		spec := s.spec(t, "contract-exec-stopped")
		s.run(t, spec)
		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
		_, _, err := s.Runtime.Exec(t.Context(), spec.Name, []string{"/app", "echo"})
		requireKind(t, fault.Unhealthy, err)
	})

	t.Run("the engine tells where it stores, and by what it works", func(t *testing.T) {
		for range 2 {
			about, err := s.Runtime.Info(t.Context())
			require.NoError(t, err)
			require.DirExists(t, about.Storage)
			require.Regexp(t, `^(netavark|cni)$`, about.Network)
			require.Regexp(t, `^v[12]$`, about.Cgroups)
		}
	})

	t.Run("a list holds the containers with all of the labels, running or not, and so do their labels", func(t *testing.T) {
		a, b := s.spec(t, "contract-list-a"), s.spec(t, "contract-list-b", "/app", "exit", "5")
		a.Labels, b.Labels = labels("7", "a"), labels("8", "a")
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
			names, borne := []string(nil), []map[string]string{}
			for _, info := range infos {
				names, borne = append(names, info.Name), append(borne, info.Labels)
				require.Equal(t, s.inspect(t, info.Name), info, "a list tells what inspect does")
			}
			require.Equal(t, c.want, names)
			all, err := s.Runtime.Labels(t.Context(), c.labels)
			require.NoError(t, err)
			require.ElementsMatch(t, borne, all)
		}
	})
}

// awaitLogs waits for the output of a container, which may lag a little.
func (s *suite) awaitLogs(t *testing.T, name string, want []string) {
	t.Helper()
	var lines []string
	require.Eventually(t, func() bool {
		var err error
		lines, err = s.Runtime.Logs(t.Context(), name, 100)
		return err == nil && slices.Equal(lines, want)
	}, 10*time.Second, 20*time.Millisecond, "logs of %s", name)
}

func (s *suite) testDown(t *testing.T) {
	t.Run("a service that is down is Unavailable, and all is there when it is back", func(t *testing.T) {
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
		_, err = s.Runtime.Labels(t.Context(), nil)
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
