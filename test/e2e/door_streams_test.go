package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// streams reaches into the container of a service through the gateway: commands, files,
// ports, output.
func (d *doorWorld) streams(service string) {
	t := d.plane.t
	t.Helper()
	component := service + "/app"
	content := make([]byte, 3<<20+1)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)

	// A pipe is the command's input, its output is whole, and its exit code mcp's.
	through := d.command("exec", component, "--", "/app", "through")
	var out, said bytes.Buffer
	through.Stdin, through.Stdout, through.Stderr = bytes.NewReader(content), &out, &said
	_ = through.Run() // its exit code says it
	require.Equal(t, 7, through.ProcessState.ExitCode(), said.String())
	require.True(t, bytes.Equal(content, out.Bytes()), "%d bytes of %d", out.Len(), len(content))
	r := d.mcp("exec", component, "--json", "--", "/app", "say", "so", "4")
	require.Equal(t, 4, r.code, r)
	require.Contains(t, r.stdout, `"stdout": "so\n"`)
	require.Equal(t, 127, d.mcp("exec", component, "--", "/none").code)
	require.Equal(t, 2, d.mcp("exec", "-t", component, "--", "/app", "hear").code, "there is no terminal")

	screen := d.terminal(80, 24, nil, "exec", "-it", component, "--", "/app", "hear")
	screen.shows(d.world, "speak")
	_, err := screen.keys.WriteString("hello\r")
	require.NoError(t, err)
	require.Zero(t, screen.code(d.world, time.Minute), screen.Text())
	require.Contains(t, screen.Text(), "heard HELLO")

	// A first signal goes to the command.
	sleeping := d.process("exec", component, "--", "/app", "sleep", "10m")
	var begun []struct{ Verb, Detail, Who, Outcome string }
	require.Eventually(t, func() bool {
		return d.mcp("exec", component, "--", "/app", "say", "up", "0").code == 0 && strings.Contains(d.mcp("audit", "--service", service, "--json").stdout, "/app and 2 more")
	}, time.Minute, 100*time.Millisecond)
	require.NoError(t, sleeping.cmd.Process.Signal(syscall.SIGINT))
	require.NotZero(t, sleeping.code(time.Minute))

	// Files go in and come out.
	dir := filepath.Join(d.dir, "copied")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "in", "deep"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in", "deep", "file.bin"), content, 0o640))
	require.NoError(t, os.Symlink("deep/file.bin", filepath.Join(dir, "in", "link")))
	r = d.mcp("cp", filepath.Join(dir, "in"), component+":/there", "--json")
	require.Zero(t, r.code, r)
	require.JSONEq(t, fmt.Sprintf(`{"files": 1, "bytes": %d}`, len(content)), r.stdout)
	r = d.mcp("cp", component+":/there", filepath.Join(dir, "back"))
	require.Zero(t, r.code, r)
	back, err := os.ReadFile(filepath.Join(dir, "back", "link"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, back))
	r = d.mcp("cp", component+":/none", dir)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "/none")

	// A port that is published or not answers here.
	forwarding := d.process("port-forward", component, fmt.Sprintf("0:%d", d.routePort(service)), "--json")
	address := regexp.MustCompile(`"address": "([^"]+)"`)
	require.Eventually(t, func() bool { return address.MatchString(forwarding.stdout.String()) }, time.Minute, 20*time.Millisecond)
	answer, err := http.Get("http://" + address.FindStringSubmatch(forwarding.stdout.String())[1])
	require.NoError(t, err, forwarding.stderr.String())
	_ = answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	forwarding.signal(syscall.SIGINT)
	require.Equal(t, 130, forwarding.code(time.Minute))

	// Output follows, of several services too.
	r = d.mcp("logs", service, component, "-n", "3")
	require.Zero(t, r.code, r)
	require.Equal(t, 2, d.mcp("logs", "nothing").code)

	r = d.mcp("audit", "--service", service, "--json")
	require.Zero(t, r.code, r)
	r.decode(t, &begun)
	seen := map[string]string{}
	for _, action := range begun {
		seen[action.Verb] = action.Who
	}
	for _, verb := range []string{"exec", "cp", "port-forward"} {
		require.Equal(t, "operator/anna", seen[verb], "%s: %s", verb, r)
	}
}
