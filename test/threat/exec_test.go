package threat

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
)

// A command that would run without the input that it is given is not run, and an output
// that is cut is no success.
func TestExecLosesNothingInSilence(t *testing.T) {
	plane := newControlPlane(t)
	plane.manner.Store(thorough) // an answer that is cut, with the exit code 1
	t.Chdir(t.TempDir())
	pipe, input, err := os.Pipe()
	require.NoError(t, err)
	defer pipe.Close()
	_, err = io.WriteString(input, "insert into …")
	require.NoError(t, err)
	require.NoError(t, input.Close())
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	file, err := os.Open(os.Args[0])
	require.NoError(t, err)
	defer file.Close()
	silent := 0
	for _, c := range []struct {
		line, says string
		stdin      io.Reader
	}{
		{"exec shop/app -- cat", "passes no standard input on, and it is given some: nothing was run", pipe},
		{"exec shop/app --json -- cat", "podman exec -i shop-app", file},
		{"exec shop/app -- cat", "nothing was run", strings.NewReader("input")},
		{"exec -i shop/app -- cat", "passes no standard input on (-i)", null},
		{"exec -it shop/app -- sh", "has no terminal (-t): nothing was run", null},
		{"exec shop/app -- dump", "the output of the command is cut: exec shows the first 256 KiB of each stream; the command exited with code 1", null},
		{"exec shop/app --json -- dump", "is cut", nil},
	} {
		var stdout, stderr bytes.Buffer
		app := &cli.App{Stdout: &stdout, Stderr: &stderr, Stdin: c.stdin, Getenv: func(name string) string {
			return map[string]string{"TEMPORAL_ADDRESS": plane.address, "TEMPORAL_CONFIG_FILE": "/none"}[name]
		}}
		if code := app.Run(t.Context(), strings.Fields(c.line)); code != 5 {
			silent++
			t.Errorf("mcp %s exits %d", c.line, code)
		}
		require.Contains(t, stderr.String(), c.says, c.line)
		require.Contains(t, stderr.String(), "podman exec", c.line)
	}
	t.Logf("inputs and outputs of exec that are lost in silence: %d", silent)
}
