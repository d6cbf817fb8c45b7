package secret

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/secrets/keys"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/reads"
)

const canary = "hunter2-canary"

// quiet is a session whose output is discarded, with a standard input.
func quiet(input string) *session.Session {
	return &session.Session{Console: ui.Console{Stdin: strings.NewReader(input), Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}}}
}

func TestWhatAValueIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	require.NoError(t, os.WriteFile(file, []byte("one\n"), 0o600))
	pem := "-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n"
	for name, c := range map[string]struct {
		from  source
		input string
		want  string
	}{
		"a line":                    {source{}, "one\n", "one"},
		"a line of Windows":         {source{}, "one\r\n", "one"},
		"a line without its end":    {source{}, "one", "one"},
		"spaces stay":               {source{}, " one \n", " one "},
		"an empty line stays":       {source{}, "one\n\n", "one\n\n"},
		"several lines":             {source{}, pem, pem},
		"bytes":                     {source{}, "\x00\xff\x00", "\x00\xff\x00"},
		"a file":                    {source{file: file}, "", "one\n"},
		"a command's line":          {source{command: "echo one"}, "", "one"},
		"a command's lines":         {source{command: "printf 'a\\nb\\n'"}, "", "a\nb\n"},
		"what a command is asked":   {source{command: "cat"}, "typed\n", "typed"},
		"as much as there may be":   {source{}, strings.Repeat("x", secrets.MaxValue), strings.Repeat("x", secrets.MaxValue)},
		"a command in the shell":    {source{command: `A=1; echo "$A two"`}, "", "1 two"},
		"a command that warns, too": {source{command: "echo one; echo two >&2"}, "", "one"},
	} {
		t.Run(name, func(t *testing.T) {
			value, err := c.from.read(t.Context(), quiet(c.input), "shop/db")
			require.NoError(t, err)
			require.Equal(t, c.want, string(value))
		})
	}
}

func TestWhatIsNoValue(t *testing.T) {
	for name, c := range map[string]struct {
		from  source
		input string
		says  string
	}{
		"nothing":                         {source{}, "", "empty"},
		"an empty line":                   {source{}, "\n", "empty"},
		"no such file":                    {source{file: "/nowhere/x"}, "", "/nowhere/x"},
		"a directory":                     {source{file: "/"}, "", "/"},
		"a file that does not end":        {source{file: "/dev/zero"}, "", "256 KiB"},
		"more than there may be":          {source{}, strings.Repeat("x", secrets.MaxValue+1), "256 KiB"},
		"a command that fails":            {source{command: "echo " + canary + "; exit 4"}, "", "exit status 4"},
		"a command that is killed":        {source{command: "echo " + canary + "; kill -9 $$"}, "", "killed"},
		"a command that is not there":     {source{command: "nowhere-to-be-found"}, "", "127"},
		"a command that prints nothing":   {source{command: "true"}, "", "empty"},
		"a command that prints for ever":  {source{command: "yes " + canary}, "", "256 KiB"},
		"a file and a command":            {source{file: "x", command: "y"}, "", "not both"},
		"no input at all, as from a cron": {source{}, "", "standard input"},
	} {
		t.Run(name, func(t *testing.T) {
			value, err := c.from.read(t.Context(), quiet(c.input), "shop/db")
			require.Error(t, err)
			require.Empty(t, value)
			shown := exit.FaultOf(err)
			require.Contains(t, shown.Message+shown.Hint, c.says)
			require.NotContains(t, shown.Message+shown.Hint, canary)
		})
	}
}

func TestAnInterruptEndsTheWaitForAValue(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer write.Close()
	s := quiet("")
	s.Stdin = read
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = source{}.read(ctx, s, "shop/db")
	require.ErrorIs(t, err, exit.Interrupted)

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = source{command: "exec sleep 600"}.read(ctx, quiet(""), "shop/db")
	require.ErrorIs(t, err, exit.Interrupted)
}

func TestATerminalDoesNotShowTheValue(t *testing.T) {
	terminal, tty, err := pty.Open()
	require.NoError(t, err)
	defer terminal.Close()
	defer tty.Close()
	s := quiet("")
	s.Stdin, s.Stderr, s.Interactive = tty, tty, func() bool { return true }
	asked, shown := make(chan struct{}), make(chan string, 1)
	go func() {
		var screen strings.Builder
		for buffer := make([]byte, 1024); ; {
			n, err := terminal.Read(buffer)
			screen.Write(buffer[:n])
			if asked != nil && strings.Contains(screen.String(), "Value of shop/db") {
				close(asked)
				asked = nil
			}
			if err != nil || strings.HasSuffix(screen.String(), "end") {
				shown <- screen.String()
				return
			}
		}
	}()
	prompted := asked
	go func() {
		<-prompted
		for !hidden(tty) {
			time.Sleep(time.Millisecond)
		}
		_, _ = terminal.WriteString(canary + "\n")
	}()
	value, err := source{}.read(t.Context(), s, "shop/db")
	require.NoError(t, err)
	require.Equal(t, canary, string(value))
	_, err = tty.WriteString("end")
	require.NoError(t, err)
	require.NotContains(t, <-shown, canary)
}

func TestVariablesOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("A=1\nexport B='two words'\n# C=3\nD=\n")
	all, err := variables("shop", file, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "1", "B": "two words", "D": ""}, all)
	some, err := variables("shop", file, []string{"B"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"B": "two words"}, some)
	_, err = variables("shop", file, []string{"X"})
	require.ErrorContains(t, err, "no variable X")

	for _, text := range []string{
		"A=1\n" + canary, "A=\"1\" " + canary, "A='" + canary, "", "\xff" + canary, "A=" + canary + "\x00", "A!=" + canary,
		"A=" + strings.Repeat(canary, 30_000),
	} {
		write(text)
		_, err := variables("shop", file, nil)
		require.Error(t, err, "%.40q", text)
		require.NotContains(t, err.Error(), canary)
	}
	require.Equal(t, `secret_env = { A = "A", "b.c" = "b.c" }`, secretEnvLine([]string{"A", "b.c"}))
}

const definition = `
name = "shop"
node = "rift"
[[components]]
name = "web"
image = "r.example/shop:v1"
secret_env = { PASSWORD = "db" }
[[components]]
name = "worker"
node = "orion"
image = "r.example/shop:v1"
[[steps]]
name = "migrate"
node = "lyra"
image = "r.example/shop:v1"
cmd = ["/migrate"]
secrets = ["db", "admin"]
[env.staging]
node = "vega"
`

func TestWhichNodesNeedASecret(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "services"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "services", "shop.toml"), []byte(definition), 0o600))
	d := &desk{Session: quiet(""), cfg: &config.Config{Services: filepath.Join(dir, "services")}}
	released, err := servicedef.Parse([]byte(strings.Replace(definition, `"shop"`, `"blog"`, 1)), "blog.toml")
	require.NoError(t, err)
	release := &fleet.Release{Service: "blog", Number: 3, Definition: released}
	for name, c := range map[string]struct {
		service, secret string
		want            []string
		named           bool
	}{
		"one of components and steps": {"shop", "db", []string{"lyra", "rift"}, true},
		"one of a step alone":         {"shop", "admin", []string{"lyra"}, true},
		"one that nothing names":      {"shop", "dbx", []string{"lyra", "orion", "rift"}, false},
		"one of an environment":       {"shop-staging", "db", []string{"lyra", "vega"}, true},
		"one of a release alone":      {"blog", "db", []string{"lyra", "rift"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := d.consumersOf(c.service, c.secret, release)
			require.NoError(t, err)
			require.Equal(t, c.want, found.nodes)
			require.Equal(t, c.named, found.named)
		})
	}
	_, err = d.consumersOf("shopp", "db", &fleet.Release{Service: "shopp"})
	f := exit.FaultOf(err)
	require.Equal(t, fault.NotFound, f.Kind)
	require.Contains(t, f.Hint, "did you mean shop?")
	require.Contains(t, f.Hint, "--node")
}

func TestANodeIsPinnedWhenItIsFirstUsed(t *testing.T) {
	newKey := func() seal.Key {
		identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
		require.NoError(t, err)
		return identity.Key()
	}
	text, err := secrets.GenerateSigningKey()
	require.NoError(t, err)
	signing, err := secrets.ParseSigningKey(text)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), keys.FileName)
	rift, orion, safe := newKey(), newKey(), newKey()
	known := []fleet.NodeRecord{{Name: "rift", Key: rift.String(), Signers: []string{signing.Signer().String()}}, {Name: "orion", Key: orion.String()}, {Name: "old"}}
	require.NoError(t, keys.PinRecovery(path, "safe", safe))
	recipientsOf := func(nodes ...string) ([]secrets.Recipient, string, error) {
		pins, err := keys.ReadPins(path)
		require.NoError(t, err)
		d := &desk{Session: quiet(""), pins: pins, key: signing}
		to, err := d.recipients(t.Context(), nodes, nil, known)
		return to, d.Stderr.(*bytes.Buffer).String(), err
	}

	to, said, err := recipientsOf("rift")
	require.NoError(t, err)
	require.Equal(t, []secrets.Recipient{{Name: "rift", Key: rift}, {Name: "safe", Recovery: true, Key: safe}}, to)
	require.Contains(t, said, "pinned the key of node rift, "+rift.Fingerprint())
	require.NotContains(t, said, "does not take secrets")
	_, said, err = recipientsOf("rift", "orion")
	require.NoError(t, err)
	require.NotContains(t, said, "node rift")
	require.Contains(t, said, `signers = ["`+signing.Signer().String()+`"]`)

	known[0].Key = newKey().String()
	_, _, err = recipientsOf("rift")
	require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
	_, _, err = recipientsOf("old")
	require.ErrorContains(t, err, "node old has announced no key")
	_, _, err = recipientsOf("rifd")
	require.Contains(t, exit.FaultOf(err).Hint, "did you mean rift?")
}

func TestAListIsReadPageByPage(t *testing.T) {
	of := func(service, name string, versions ...int) secrets.Secret {
		s := secrets.Secret{Service: service, Name: name}
		for _, n := range versions {
			s.Versions = append(s.Versions, secrets.Version{Version: n})
		}
		return s
	}
	recorded := []secrets.Secret{of("a", "x", 7), of("a", "x", 6, 4), of("a", "y"), of("b", "a", 1)}
	var asked []secrets.Ref
	all, err := pages(func(after secrets.Ref) (reads.SecretsResult, error) {
		asked = append(asked, after)
		n := len(asked) - 1
		page := reads.SecretsResult{Secrets: recorded[n : n+1], More: n+1 < len(recorded)}
		if n == 0 {
			page.Nodes = []fleet.NodeRecord{{Name: "rift"}}
		}
		return page, nil
	})
	require.NoError(t, err)
	require.Equal(t, []secrets.Secret{of("a", "x", 7, 6, 4), of("a", "y"), of("b", "a", 1)}, all.Secrets)
	require.Equal(t, []secrets.Ref{{}, {Service: "a", Name: "x", Version: 7}, {Service: "a", Name: "x", Version: 4}, {Service: "a", Name: "y"}}, asked)
	require.Len(t, all.Nodes, 1)

	_, err = pages(func(secrets.Ref) (reads.SecretsResult, error) {
		return reads.SecretsResult{Secrets: recorded, More: true}, nil
	})
	require.ErrorContains(t, err, "does not end, nor go on after b/a")

	_, err = pages(func(secrets.Ref) (reads.SecretsResult, error) {
		return reads.SecretsResult{}, context.DeadlineExceeded
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
