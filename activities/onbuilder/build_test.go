package onbuilder_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/attempt/attempttest"
	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// workshop is a builder with an engine in memory.
type workshop struct {
	*onbuilder.Builder
	engine *runtime.Fake
	env    *testsuite.TestActivityEnvironment
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{engine: runtime.NewFake()}
	w.Builder = &onbuilder.Builder{
		Name: "orion", Runtime: w.engine, Workspace: t.TempDir(), Logs: filepath.Join(t.TempDir(), "logs"),
		Insecure: func(string) bool { return true },
	}
	w.env = attempttest.New(context.Background(), w.Builder)
	return w
}

func (w *workshop) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.Workspace, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func (w *workshop) build(path, containerfile string) (onbuilder.BuildResult, *fault.Error) {
	var result onbuilder.BuildResult
	value, err := w.env.ExecuteActivity(w.Build, onbuilder.BuildInput{
		Service: "shop", Image: "registry.test:5000/api:v1", Path: path, Build: servicedef.ImageBuild{Containerfile: containerfile},
	})
	if err == nil {
		err = value.Get(&result)
	}
	return result, attempt.FaultOf(err)
}

func TestBuildKeepsItsWholeLog(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/Containerfile", "FROM scratch\nCMD [\"/app\"]\n")
	result, f := w.build("shop", "Containerfile")
	require.Nil(t, f)
	require.Equal(t, "orion", result.Builder)
	log, err := os.ReadFile(result.LogFile)
	require.NoError(t, err)
	require.Contains(t, string(log), "STEP 1")
	require.Nil(t, attempt.FaultOf(push(w)))
}

func TestBuildLogsArePruned(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/Containerfile", "FROM scratch\n")
	require.NoError(t, os.MkdirAll(w.Logs, 0o700))
	for i := range 30 {
		name := fmt.Sprintf("shop@api@20260101T0000%02d.000000.log", i)
		require.NoError(t, os.WriteFile(filepath.Join(w.Logs, name), nil, 0o600))
	}
	_, f := w.build("shop", "Containerfile")
	require.Nil(t, f)
	left, err := os.ReadDir(w.Logs)
	require.NoError(t, err)
	require.Len(t, left, 20)
	require.Equal(t, "shop@api@20260101T000011.000000.log", left[0].Name())
}

func push(w *workshop) error {
	_, err := w.env.ExecuteActivity(w.Push, onbuilder.PushInput{Image: "registry.test:5000/api:v1"})
	return err
}

func TestBuildRefusesPathsOutsideTheWorkspace(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/Containerfile", "FROM scratch\n")
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "Containerfile"), []byte("FROM scratch\n"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(w.Workspace, "linked")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "Containerfile"), filepath.Join(w.Workspace, "shop", "Linkfile")))

	tests := map[string]struct{ path, containerfile, want string }{
		"a directory that does not exist":      {"none", "Containerfile", "source directory of service shop"},
		"a directory outside":                  {"..", "Containerfile", "is outside"},
		"a link that leads outside":            {"linked", "Containerfile", "is outside"},
		"a Containerfile that does not exist":  {"shop", "Containerfile.api", "Containerfile of registry.test:5000/api:v1"},
		"a Containerfile that leads elsewhere": {"shop", "Linkfile", "is outside"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, f := w.build(test.path, test.containerfile)
			require.NotNil(t, f)
			require.Equal(t, fault.Invalid, f.Kind)
			require.Contains(t, f.Message, test.want)
			require.NotEmpty(t, f.Hint)
		})
	}
	require.Empty(t, w.engine.Calls(), "the engine was not asked")
}

// The ignore file of a Containerfile belongs to the name that the definition gives.
func TestBuildPassesOnTheNameOfALink(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/docker/common", "FROM scratch\n")
	require.NoError(t, os.Symlink("docker/common", filepath.Join(w.Workspace, "shop", "Containerfile")))
	require.NoError(t, os.Symlink("shop", filepath.Join(w.Workspace, "linked")))
	engine := &specs{Fake: w.engine}
	w.Runtime = engine
	_, f := w.build("linked", "Containerfile")
	require.Nil(t, f)
	require.Equal(t, filepath.Join(w.Workspace, "shop"), engine.last.Context)
	require.Equal(t, filepath.Join(w.Workspace, "shop", "Containerfile"), engine.last.Containerfile)
}

// specs keeps the spec of the last build.
type specs struct {
	*runtime.Fake
	last runtime.BuildSpec
}

func (s *specs) Build(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	s.last = spec
	return s.Fake.Build(ctx, spec)
}

func TestUntagMayRunTwice(t *testing.T) {
	w := newWorkshop(t)
	w.engine.AddImages("registry.test:5000/api:v1")
	for range 2 {
		_, err := w.env.ExecuteActivity(w.Untag, onbuilder.PushInput{Image: "registry.test:5000/api:v1"})
		require.NoError(t, err)
	}
	require.Equal(t, fault.NotFound, attempt.FaultOf(push(w)).Kind)
}

// checkout is a git whose answers a test gives.
type checkout struct {
	found servicedef.BuildSources
	err   error
	reads int
	// changed is the hash from the second time on; "" for the same.
	changed string
}

func (c *checkout) Read(context.Context, servicedef.SourceQuery) (servicedef.BuildSources, error) {
	if c.reads++; c.reads > 1 && c.changed != "" {
		c.found.Hash = c.changed
	}
	return c.found, c.err
}

func (c *checkout) Describe(context.Context, servicedef.SourceQuery) (servicedef.BuildSources, error) {
	return c.found, c.err
}

func TestABuilderChecksItsSources(t *testing.T) {
	const hash, other = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	here := servicedef.BuildSources{
		Source:  servicedef.Source{Hash: hash, Commit: "1a2b3c4d5e6f7890", Subject: "Sell things"},
		Created: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), Origin: "https://git.example/shop.git",
		Only: func(path string) bool { return path == "Containerfile" },
	}
	build := func(t *testing.T, git *checkout, in onbuilder.BuildInput) (*specs, *fault.Error) {
		w := newWorkshop(t)
		w.write(t, "shop/Containerfile", "FROM scratch\n")
		engine := &specs{Fake: w.engine}
		w.Runtime, w.Sources = engine, git
		in.Service, in.Path = "shop", "shop"
		in.Image = "registry.test:5000/api:" + hash[:16]
		_, err := w.env.ExecuteActivity(w.Build, in)
		return engine, attempt.FaultOf(err)
	}
	asked := onbuilder.BuildInput{
		Source: &servicedef.Source{Hash: hash, Commit: "1a2b3c4d5e6f7890", Subject: "Sell things"},
		Build:  servicedef.ImageBuild{Labels: map[string]string{"a": "b", "org.opencontainers.image.source": "mine"}},
	}

	t.Run("the same sources are built, without what git ignores", func(t *testing.T) {
		engine, f := build(t, &checkout{found: here}, asked)
		require.Nil(t, f)
		require.True(t, engine.last.Only("Containerfile"))
		require.False(t, engine.last.Only("ignored"))
		require.Equal(t, map[string]string{
			"a": "b", "org.opencontainers.image.source": "mine",
			"org.opencontainers.image.revision": "1a2b3c4d5e6f7890", "org.opencontainers.image.created": "2026-02-03T04:05:06Z",
		}, engine.last.Labels)
	})
	t.Run("other sources are refused, and nothing is built", func(t *testing.T) {
		elsewhere := here
		elsewhere.Hash, elsewhere.Commit = other, "9999999999999999"
		engine, f := build(t, &checkout{found: elsewhere}, asked)
		require.Equal(t, fault.Conflict, f.Kind)
		require.Contains(t, f.Message, "builder orion does not have the sources of registry.test:5000/api:"+hash[:16])
		require.Contains(t, f.Message, "the tag is that of commit 1a2b3c4d5e6f")
		require.Contains(t, f.Message, "has 999999999999")
		require.Contains(t, f.Hint, "check out commit 1a2b3c4d5e6f on builder orion")
		require.Empty(t, engine.last.Tag)
	})
	t.Run("sources that change during the build are refused", func(t *testing.T) {
		engine, f := build(t, &checkout{found: here, changed: other}, asked)
		require.Equal(t, fault.Conflict, f.Kind)
		require.Contains(t, f.Message, "were changed during the build")
		require.NotEmpty(t, engine.last.Tag)
	})
	t.Run("a builder without git cannot check them", func(t *testing.T) {
		_, f := build(t, &checkout{err: fault.New(fault.Invalid, "there is no git program")}, asked)
		require.Equal(t, "builder orion: there is no git program", f.Message)
	})
	t.Run("a tag of the definition's own needs no git", func(t *testing.T) {
		engine, f := build(t, &checkout{err: fault.New(fault.Invalid, "there is no git program")}, onbuilder.BuildInput{})
		require.Nil(t, f)
		require.Nil(t, engine.last.Only)
		require.Empty(t, engine.last.Labels)
	})
}

func TestSecretsOfABuild(t *testing.T) {
	t.Setenv("TOKEN", "from the environment")
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("from a file"), 0o600))
	build := func(t *testing.T, secret servicedef.BuildSecret) (map[string][]byte, *fault.Error) {
		w := newWorkshop(t)
		w.write(t, "shop/Containerfile", "FROM scratch\n")
		w.write(t, "token", "of the workspace")
		require.NoError(t, os.Symlink(outside, filepath.Join(w.Workspace, "link")))
		engine := &specs{Fake: w.engine}
		w.Runtime = engine
		_, err := w.env.ExecuteActivity(w.Build, onbuilder.BuildInput{
			Service: "shop", Path: "shop", Image: "registry.test:5000/api:v1",
			Build: servicedef.ImageBuild{Secrets: map[string]servicedef.BuildSecret{"a": secret}},
		})
		return engine.last.Secrets, attempt.FaultOf(err)
	}
	for want, secret := range map[string]servicedef.BuildSecret{
		"from the environment": {Environment: "TOKEN"},
		"from a file":          {File: outside},
		"of the workspace":     {File: "../token"},
	} {
		values, f := build(t, secret)
		require.Nil(t, f)
		require.Equal(t, map[string][]byte{"a": []byte(want)}, values)
	}
	for want, secret := range map[string]servicedef.BuildSecret{
		"the variable NO_TOKEN is not set": {Environment: "NO_TOKEN"},
		"no such file":                     {File: "../none"},
		"is outside":                       {File: "../link"},
		"is not a regular file":            {File: "/dev/zero"},
	} {
		_, f := build(t, secret)
		require.Equal(t, fault.Invalid, f.Kind)
		require.Contains(t, f.Message, "read the secret a of registry.test:5000/api:v1 on builder orion")
		require.Contains(t, f.Message, want)
		require.NotEmpty(t, f.Hint)
	}
}

func TestABuildHasTheSecretsThatAreSealedToItsBuilder(t *testing.T) {
	text, err := secrets.GenerateSigningKey()
	require.NoError(t, err)
	by, err := secrets.ParseSigningKey(text)
	require.NoError(t, err)
	newIdentity := func() *seal.Identity {
		identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
		require.NoError(t, err)
		return identity
	}
	mine := newIdentity()
	me := secrets.Recipient{Name: "orion", Builder: true, Key: mine.Key()}
	reader := secrets.Reader{Node: "orion", Builder: true, Identity: mine, Signers: []secrets.Signer{by.Signer()}}
	ref := secrets.Ref{Service: "shop", Name: "npm-staging", Version: 3}
	envelope := func(to secrets.Recipient) secrets.Envelope {
		e, err := secrets.Seal(ref, []byte("hush"), []secrets.Recipient{to}, by)
		require.NoError(t, err)
		return e
	}
	build := func(t *testing.T, e secrets.Envelope, reader func() (secrets.Reader, error)) (map[string][]byte, *fault.Error) {
		w := newWorkshop(t)
		w.write(t, "shop/Containerfile", "FROM scratch\n")
		engine := &specs{Fake: w.engine}
		w.Runtime, w.Secrets = engine, reader
		_, err := w.env.ExecuteActivity(w.Build, onbuilder.BuildInput{
			Service: "shop", Path: "shop", Image: "registry.test:5000/api:v1",
			Build:    servicedef.ImageBuild{Secrets: map[string]servicedef.BuildSecret{"token": {Secret: "npm"}}},
			Versions: servicedef.SecretVersions{"npm": {Name: ref.Name, Version: ref.Version}}, Envelopes: []secrets.Envelope{e},
		})
		return engine.last.Secrets, attempt.FaultOf(err)
	}
	returns := func(r secrets.Reader) func() (secrets.Reader, error) {
		return func() (secrets.Reader, error) { return r, nil }
	}
	values, f := build(t, envelope(me), returns(reader))
	require.Nil(t, f)
	require.Equal(t, map[string][]byte{"token": []byte("hush")}, values)

	node, old, other, forged := me, me, ref, envelope(me)
	node.Builder, old.Key, other.Service, forged.Sealed = false, newIdentity().Key(), "blog", []byte("x")
	elsewhere, err := secrets.Seal(other, []byte("hush"), []secrets.Recipient{me}, by)
	require.NoError(t, err)
	keyless, wary := reader, reader
	keyless.Identity, wary.Signers = nil, nil
	for name, c := range map[string]struct {
		envelope secrets.Envelope
		reader   func() (secrets.Reader, error)
		want     string
	}{
		"a builder without keys":       {envelope(me), nil, "builder orion takes no managed secret: its mcp.toml names no signer"},
		"no key":                       {envelope(me), returns(keyless), "builder orion takes no managed secret: its worker has no key"},
		"no signer":                    {envelope(me), returns(wary), "builder orion takes no managed secret: its mcp.toml names no signer"},
		"for the node of its name":     {envelope(node), returns(reader), "shop/npm-staging v3 is not sealed to builder orion"},
		"for its former key":           {envelope(old), returns(reader), "sealed to another key of builder orion"},
		"of another service":           {elsewhere, returns(reader), "the secret npm has not come with the build"},
		"with another value":           {forged, returns(reader), "the signature is not one of"},
		"a key that cannot be read":    {envelope(me), func() (secrets.Reader, error) { return reader, fault.New(fault.Unauthorized, "its key is everybody's") }, "its key is everybody's"},
		"of a signer it does not know": {envelope(me), returns(secrets.Reader{Node: "orion", Builder: true, Identity: mine, Signers: []secrets.Signer{{}}}), "builder orion does not trust its signer"},
	} {
		t.Run(name, func(t *testing.T) {
			values, f := build(t, c.envelope, c.reader)
			require.NotNil(t, f)
			require.Contains(t, f.Message, c.want)
			require.NotContains(t, f.Error(), "hush")
			require.Empty(t, values)
		})
	}
}

func TestABuildLogIsReadInParts(t *testing.T) {
	w := newWorkshop(t)
	w.write(t, "shop/Containerfile", "FROM scratch\n"+strings.Repeat("LABEL a=b\n", 100))
	_, f := w.build("shop", "Containerfile")
	require.Nil(t, f)
	whole, in := "", onbuilder.BuildLogInput{Service: "shop", Images: []string{"api"}, Bytes: 500}
	for range 100 {
		value, err := w.env.ExecuteActivity(w.BuildLog, in)
		require.NoError(t, err)
		var part onbuilder.BuildLogResult
		require.NoError(t, value.Get(&part))
		require.LessOrEqual(t, len(part.Text), 500)
		whole += part.Text
		if in.File, in.Offset = part.File, part.Next; part.End {
			break
		}
	}
	require.True(t, strings.HasPrefix(whole, "# build of registry.test:5000/api:v1, "), whole)
	require.Equal(t, 100, strings.Count(whole, "LABEL a=b\n"))
	require.Contains(t, whole, "# built registry.test:5000/api:v1 in ")

	for _, in := range []onbuilder.BuildLogInput{
		{Service: "shop", File: "../../etc/passwd", Bytes: 9}, {Service: "shop", File: "blog@api@1.log", Bytes: 9}, {Service: "shop", File: "shop@none.log", Bytes: 9},
	} {
		_, err := w.env.ExecuteActivity(w.BuildLog, in)
		require.Error(t, err, in.File)
	}
	value, err := w.env.ExecuteActivity(w.BuildLog, onbuilder.BuildLogInput{Service: "blog", Bytes: 9})
	require.NoError(t, err)
	var none onbuilder.BuildLogResult
	require.NoError(t, value.Get(&none))
	require.Empty(t, none.File)
}
