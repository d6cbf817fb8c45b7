package contract

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

func (s *suite) testBuild(t *testing.T) {
	t.Run("a build tags its image and passes on its output", func(t *testing.T) {
		var out bytes.Buffer
		spec := s.build(t, "localhost/contract/built:v1", `CMD ["/app", "serve"]`)
		spec.Out = &out
		id, err := s.Runtime.Build(t.Context(), spec)
		require.NoError(t, err)
		require.NotEmpty(t, id)
		require.Contains(t, out.String(), "STEP")
		require.True(t, s.exists(t, spec.Tag))

		again, err := s.Runtime.Build(t.Context(), spec)
		require.NoError(t, err)
		require.Equal(t, id, again, "an unchanged source builds to the same image")
	})

	t.Run("a source that does not build is Invalid, and the error names the step and the cause", func(t *testing.T) {
		spec := s.build(t, "localhost/contract/broken:v1", `RUN ["/app", "exit", "3"]`)
		_, err := s.Runtime.Build(t.Context(), spec)
		found := requireKind(t, fault.Invalid, err)
		require.Contains(t, found.Message, spec.Tag)
		require.Contains(t, found.Message, "STEP")
		require.Contains(t, found.Message, "RUN")
		require.Contains(t, found.Message, "exit status 3")
		require.Contains(t, strings.Join(found.Log, "\n"), "exiting with 3")
		require.False(t, s.exists(t, spec.Tag))
		s.requireNoLeftovers(t)
	})

	t.Run("a missing Containerfile or build context is Invalid, and the error names the path", func(t *testing.T) {
		spec := s.build(t, "localhost/contract/missing:v1")
		file := spec.Containerfile
		spec.Containerfile = filepath.Join(t.TempDir(), "Nowhere")
		_, err := s.Runtime.Build(t.Context(), spec)
		require.Contains(t, requireKind(t, fault.Invalid, err).Message, spec.Containerfile)

		spec.Containerfile, spec.Context = file, filepath.Join(t.TempDir(), "nowhere")
		_, err = s.Runtime.Build(t.Context(), spec)
		require.Contains(t, requireKind(t, fault.Invalid, err).Message, spec.Context)
	})

	// The step is interrupted while it is silent, and while it prints.
	for name, command := range map[string]string{"silent": `"sleep", "10m"`, "noisy": `"shout", "10m"`} {
		t.Run("a build that is cancelled in a "+name+" step returns the context's error and ends the step", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			spec := s.build(t, "localhost/contract/cancelled:v1", `RUN ["/app", `+command+`]`)
			spec.Out = &trigger{word: "RUN", fire: func() { time.AfterFunc(500*time.Millisecond, cancel) }}
			began := time.Now()
			_, err := s.Runtime.Build(ctx, spec)
			require.ErrorIs(t, err, context.Canceled)
			require.Less(t, time.Since(began), 10*time.Second)
			require.False(t, s.exists(t, spec.Tag))
			s.requireNoLeftovers(t)
		})
	}
}

// requireNoLeftovers waits for the engine to clean up, which it may do only
// after the interrupted step has ended.
func (s *suite) requireNoLeftovers(t *testing.T) {
	t.Helper()
	if s.Leftovers == nil {
		return
	}
	require.Eventually(t, func() bool {
		names, err := s.Leftovers()
		return err == nil && len(names) == 0
	}, 30*time.Second, 50*time.Millisecond, "working containers remain")
}

// trigger calls fire once, when word is written to it.
type trigger struct {
	word string
	fire func()
	once sync.Once
}

func (w *trigger) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.word) {
		w.once.Do(w.fire)
	}
	return len(p), nil
}

func (s *suite) testImages(t *testing.T) {
	t.Run("an image that was pushed and removed can be pulled again", func(t *testing.T) {
		image := s.Registry + "/contract/travels:v1"
		_, err := s.Runtime.Build(t.Context(), s.build(t, image, `CMD ["/app", "print", "travelled"]`))
		require.NoError(t, err)
		var lines []string
		require.NoError(t, s.Runtime.Push(t.Context(), runtime.PushSpec{
			Image: image, Insecure: true, Progress: func(line string) { lines = append(lines, line) },
		}))
		require.NotEmpty(t, lines, "a push reports its progress")
		require.NoError(t, s.push(t, image), "a push may be repeated")

		require.NoError(t, s.Runtime.RemoveImage(t.Context(), image))
		require.False(t, s.exists(t, image))
		require.NoError(t, s.Runtime.RemoveImage(t.Context(), image), "a removal may be repeated")
		require.NoError(t, s.pull(t, image))
		require.True(t, s.exists(t, image))
	})

	t.Run("a tag in use by a container can be removed", func(t *testing.T) {
		image := "localhost/contract/used:v1"
		_, err := s.Runtime.Build(t.Context(), s.build(t, image, `CMD ["/app", "serve"]`, `LABEL used=yes`))
		require.NoError(t, err)
		spec := s.spec(t, "contract-used")
		spec.Image = image
		s.run(t, spec)
		require.NoError(t, s.Runtime.RemoveImage(t.Context(), image))
		require.False(t, s.exists(t, image))
		require.Equal(t, runtime.Running, s.inspect(t, spec.Name).State)
	})

	t.Run("an image that is not in local storage cannot be pushed", func(t *testing.T) {
		requireKind(t, fault.NotFound, s.push(t, s.Registry+"/contract/nowhere:v1"))
	})

	t.Run("a tag that is not in the image registry cannot be pulled", func(t *testing.T) {
		requireKind(t, fault.NotFound, s.pull(t, s.Registry+"/contract/nowhere:v1"))
		requireKind(t, fault.NotFound, s.pull(t, s.Registry+"/contract/travels:v9"))
		requireKind(t, fault.NotFound, s.pull(t, s.Registry+"/contract/travels@sha256:"+strings.Repeat("0", 64)))
	})

	t.Run("an image registry that does not answer is Unavailable", func(t *testing.T) {
		image := "127.0.0.1:1/contract/app:v1"
		_, err := s.Runtime.Build(t.Context(), s.build(t, image))
		require.NoError(t, err)
		requireKind(t, fault.Unavailable, s.push(t, image))
		requireKind(t, fault.Unavailable, s.pull(t, image))
	})

	t.Run("a push that is cancelled returns the context's error", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the operator changed their mind"))
		err := s.Runtime.Push(ctx, runtime.PushSpec{Image: s.image, Insecure: true})
		require.ErrorIs(t, err, context.Canceled)
	})
}

func (s *suite) push(t *testing.T, image string) error {
	t.Helper()
	return s.Runtime.Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true})
}

func (s *suite) pull(t *testing.T, image string) error {
	t.Helper()
	return s.Runtime.Pull(t.Context(), runtime.PullSpec{Image: image, Insecure: true})
}

// exists reports whether an image is in the engine's local storage.
func (s *suite) exists(t *testing.T, image string) bool {
	t.Helper()
	here, err := s.Runtime.ImageExists(t.Context(), image)
	require.NoError(t, err)
	return here
}
