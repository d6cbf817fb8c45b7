package stream_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
)

// pour writes so many bytes that look random, and returns their hash.
func pour(to io.Writer, seed uint64, bytes int64) ([]byte, error) {
	sum := sha256.New()
	_, err := io.CopyN(io.MultiWriter(to, sum), rand.NewChaCha8([32]byte{byte(seed)}), bytes)
	return sum.Sum(nil), err
}

// hashed is a writer that keeps a hash and a count.
type hashed struct {
	hash.Hash
	count int64
}

func newHashed() *hashed { return &hashed{Hash: sha256.New()} }

func (h *hashed) Write(p []byte) (int, error) {
	h.count += int64(len(p))
	return h.Hash.Write(p)
}

// A large stream arrives byte for byte, both ways at once, and the exit code after it.
func TestLargeStream(t *testing.T) {
	r := newRig(t, nil)
	bytes := *size << 20
	sent := make(chan []byte, 1)
	r.node(t, "rift", func(_ context.Context, a *stream.Accepted) (int, error) {
		got := newHashed()
		read := make(chan error, 1)
		go func() {
			_, err := io.Copy(got, a.Input())
			read <- err
		}()
		sum, err := pour(a.Stdout(), 1, bytes)
		sent <- sum
		if err := errors.Join(err, <-read); err != nil {
			return 0, err
		}
		_, err = fmt.Fprintf(a.Stderr(), "%x", got.Sum(nil))
		return 3, err
	})
	call, err := r.operator(t, "anna").Call(t.Context(), command("dump"))
	require.NoError(t, err)
	var given []byte
	var sending sync.WaitGroup
	sending.Go(func() {
		given, err = pour(call, 2, bytes)
		assert.NoError(t, err)
		assert.NoError(t, call.CloseWrite())
	})
	began := time.Now()
	stdout, stderr := newHashed(), &strings.Builder{}
	code, received := call.Receive(stdout, stderr)
	sending.Wait()
	require.NoError(t, received)
	require.Equal(t, 3, code)
	require.Equal(t, bytes, stdout.count)
	require.Equal(t, <-sent, stdout.Sum(nil))
	require.Equal(t, fmt.Sprintf("%x", given), stderr.String())
	t.Logf("%d MiB each way at once: %.0f MiB/s each", *size, float64(*size)/time.Since(began).Seconds())
}

// An operator that does not read stops its node after a bounded number of bytes, and
// nothing else: not another stream of the same two sessions, and it loses nothing.
func TestSlowReader(t *testing.T) {
	r := newRig(t, nil)
	const bytes, most = 8 << 20, 2 << 20
	var slow atomic.Int64
	r.node(t, "rift", func(_ context.Context, a *stream.Accepted) (int, error) {
		to := a.Stdout()
		if a.Header.Exec.Command[0] == "slow" {
			to = counting{to, &slow}
		}
		_, err := pour(to, 1, bytes)
		return 0, err
	})
	anna := r.operator(t, "anna")
	unread, err := anna.Call(t.Context(), command("slow"))
	require.NoError(t, err)
	for range 3 {
		other, err := anna.Call(t.Context(), command("fast"))
		require.NoError(t, err)
		got := newHashed()
		code, err := other.Receive(got, io.Discard)
		require.NoError(t, err)
		require.Zero(t, code)
		require.EqualValues(t, bytes, got.count)
	}
	require.Less(t, slow.Load(), int64(most))
	t.Logf("bytes on their way to an operator that reads nothing, while %d MiB passed beside them: %d KiB", 3*bytes>>20, slow.Load()>>10)
	got := newHashed()
	_, err = unread.Receive(got, io.Discard)
	require.NoError(t, err)
	sum, err := pour(io.Discard, 1, bytes)
	require.NoError(t, err)
	require.Equal(t, sum, got.Sum(nil))
}

// counting counts the bytes that it has written.
type counting struct {
	to    io.Writer
	count *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.count.Add(int64(n))
	return n, err
}

// Of two hundred operators who read at once, one that does not read delays none.
func TestManyReaders(t *testing.T) {
	r := newRig(t, func(h *stream.Hub) { h.PerPeer = 300 })
	const readers, bytes = 200, 256 << 10
	r.node(t, "rift", func(_ context.Context, a *stream.Accepted) (int, error) {
		_, err := pour(a.Stdout(), 7, bytes)
		return 0, err
	})
	want, err := pour(io.Discard, 7, bytes)
	require.NoError(t, err)
	slow, err := r.operator(t, "anna").Call(t.Context(), command("follow"))
	require.NoError(t, err)
	var all sync.WaitGroup
	for range readers - 1 {
		client := r.operator(t, "anna")
		all.Go(func() {
			call, err := client.Call(t.Context(), command("follow"))
			if !assert.NoError(t, err) {
				return
			}
			got := newHashed()
			_, err = call.Receive(got, io.Discard)
			assert.NoError(t, err)
			assert.Equal(t, want, got.Sum(nil))
		})
	}
	all.Wait()
	got := newHashed()
	_, err = slow.Receive(got, io.Discard)
	require.NoError(t, err)
	require.Equal(t, want, got.Sum(nil))
}

// A signal and a new size reach a command that reads none of its input, of which the
// operator has more than may be on its way.
func TestSignalPassesInput(t *testing.T) {
	r := newRig(t, nil)
	r.node(t, "rift", func(_ context.Context, a *stream.Accepted) (int, error) {
		if err := a.Start(); err != nil {
			return 0, err
		}
		if size := <-a.Resizes; size != (stream.Size{Rows: 40, Columns: 132}) {
			return 0, fmt.Errorf("the size is %v", size)
		}
		if name := <-a.Signals; name != "INT" {
			return 0, fmt.Errorf("the signal is %s", name)
		}
		n, err := io.Copy(io.Discard, a.Input())
		fmt.Fprint(a.Stdout(), n)
		return 130, err
	})
	call, err := r.operator(t, "anna").Call(t.Context(), command("stubborn"))
	require.NoError(t, err)
	var sending sync.WaitGroup
	sending.Go(func() { assert.NoError(t, call.Send(bytes.NewReader(make([]byte, 1<<20)))) })
	require.NoError(t, call.Resize(stream.Size{Rows: 40, Columns: 132}))
	require.NoError(t, call.Signal("INT"))
	var out strings.Builder
	code, err := call.Receive(&out, io.Discard)
	sending.Wait()
	require.NoError(t, err)
	require.Equal(t, 130, code)
	require.Equal(t, "1048576", out.String())
}

// Input may end while output goes on, and the reverse.
func TestHalfClosed(t *testing.T) {
	r := newRig(t, nil)
	r.node(t, "rift", func(_ context.Context, a *stream.Accepted) (int, error) {
		if a.Header.Exec.Command[0] == "after" {
			text, err := io.ReadAll(a.Input())
			if err == nil {
				_, err = a.Stdout().Write(bytes.ToUpper(text))
			}
			return 0, err
		}
		if _, err := io.WriteString(a.Stdout(), "first"); err != nil {
			return 0, err
		}
		if err := a.EndOutput(); err != nil {
			return 0, err
		}
		text, err := io.ReadAll(a.Input())
		return len(text), err
	})
	anna := r.operator(t, "anna")
	call, err := anna.Call(t.Context(), command("after"))
	require.NoError(t, err)
	require.NoError(t, call.Send(strings.NewReader("input")))
	var out strings.Builder
	_, err = call.Receive(&out, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "INPUT", out.String())

	call, err = anna.Call(t.Context(), command("before"))
	require.NoError(t, err)
	for _, want := range []stream.Kind{stream.Output, stream.OutputEnd} {
		f, err := call.Next()
		require.NoError(t, err)
		require.Equal(t, want, f.Kind)
	}
	require.NoError(t, call.Send(strings.NewReader("input")))
	code, err := call.Receive(io.Discard, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 5, code)
}

// Who goes ends what its node does for it, also where that waits for it to read.
func TestOperatorGoes(t *testing.T) {
	r := newRig(t, nil)
	causes := make(chan error, 1)
	r.node(t, "rift", func(ctx context.Context, a *stream.Accepted) (int, error) {
		err := a.Start()
		if a.Header.Exec.Command[0] == "pour" {
			_, err = pour(a.Stdout(), 1, 1<<40)
		} else {
			<-ctx.Done()
		}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return 0, err
	})
	anna := r.operator(t, "anna")
	for _, word := range []string{"pour", "wait"} {
		call, err := anna.Call(t.Context(), command(word))
		require.NoError(t, err)
		call.Close()
		require.ErrorIs(t, <-causes, stream.ErrGone)
	}
	ctx, cancel := context.WithCancel(t.Context())
	call, err := anna.Call(ctx, command("wait"))
	require.NoError(t, err)
	cancel()
	_, err = call.Receive(io.Discard, io.Discard)
	require.True(t, fault.Is(err, fault.Unavailable), err)
	require.ErrorIs(t, <-causes, stream.ErrGone)
	require.Eventually(t, func() bool { return len(r.recorded()) == 6 }, time.Minute, time.Millisecond)
	for _, e := range r.recorded() {
		require.Contains(t, []string{"", "cancelled"}, e.Outcome)
	}
}
