package onnode_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// vault seals secrets of shop to a node.
type vault struct {
	t    *testing.T
	by   secrets.SigningKey
	node secrets.Recipient
}

// trusting gives a node a key, and a signer whom it trusts.
func trusting(t *testing.T, h *host) vault {
	t.Helper()
	text, err := secrets.GenerateSigningKey()
	require.NoError(t, err)
	by, err := secrets.ParseSigningKey(text)
	require.NoError(t, err)
	identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	h.Secrets = secrets.Reader{Node: h.Name, Identity: identity, Signers: []secrets.Signer{by.Signer()}}
	return vault{t, by, secrets.Recipient{Name: h.Name, Key: identity.Key()}}
}

func (v vault) seal(name string, version int, value string) secrets.Envelope {
	v.t.Helper()
	e, err := secrets.Seal(secrets.Ref{Service: "shop", Name: name, Version: version}, []byte(value), []secrets.Recipient{v.node}, v.by)
	require.NoError(v.t, err)
	return e
}

// sealed is shop's api with its secrets.
func sealed(deployment int, envelopes ...secrets.Envelope) activities.ComponentSpec {
	c := plainAPI(deployment)
	c.Definition.Env = map[string]string{"PLAIN": "{{secret:x}", "URL": "postgres://app:{secret:db|urlencode}@db", "BOTH": "{secret:user}:{secret:db}"}
	c.Definition.SecretEnv = map[string]string{"PASSWORD": "db", "KEY": "by-hand"}
	c.Definition.Secrets = []servicedef.Secret{{Source: "db"}, {Source: "user", Target: "/etc/user", Mode: "0400"}, {Source: "by-hand"}}
	c.Definition.Versions = servicedef.SecretVersions{}
	for _, e := range envelopes {
		c.Definition.Versions[e.Name] = servicedef.SecretVersion{Name: e.Name, Version: e.Version}
	}
	c.Envelopes = envelopes
	return c
}

func plainAPI(deployment int) activities.ComponentSpec {
	return activities.ComponentSpec{
		Service: "shop", Deployment: deployment, Image: image, Spec: fmt.Sprint("spec", deployment),
		Definition: servicedef.Component{Name: "api", Image: "registry.test:5000/api:v1", Restart: "no", Order: servicedef.StartFirst},
	}
}

func secretNames(t *testing.T, h *host) []string {
	t.Helper()
	kept, err := h.engine.Secrets(t.Context())
	require.NoError(t, err)
	var names []string
	for _, s := range kept {
		names = append(names, s.Name)
	}
	return names
}

func TestAContainerHasTheSecretsOfItsVersions(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	h.engine.AddSecret("by-hand")
	c := sealed(3, v.seal("db", 6, "<p@ss>"), v.seal("user", 1, "app"))
	for range 2 { // an activity may run twice
		require.Nil(t, h.run(c))
	}
	spec := h.specs[0]
	require.Equal(t, map[string]string{"PLAIN": "{secret:x}"}, spec.Env, "no value of a secret is a plain variable")
	require.Equal(t, []servicedef.Secret{
		{Source: "mcp-shop.db.v6", Target: "/run/secrets/db"},
		{Source: "mcp-shop.user.v1", Target: "/etc/user", Mode: "0400"},
		{Source: "by-hand"},
	}, spec.Secrets)
	require.Equal(t, "mcp-shop.db.v6", spec.SecretEnv["PASSWORD"])
	require.Equal(t, "by-hand", spec.SecretEnv["KEY"])
	require.Equal(t, "<p@ss>", string(h.engine.SecretValue("mcp-shop.db.v6")))
	require.Equal(t, "postgres://app:%3Cp%40ss%3E@db", string(h.engine.SecretValue(spec.SecretEnv["URL"])))
	require.Equal(t, "app:<p@ss>", string(h.engine.SecretValue(spec.SecretEnv["BOTH"])))
	require.Len(t, secretNames(t, h), 5, "two versions, two values, and the one by hand")
	require.ElementsMatch(t, []string{"mcp-shop.db.v6", "mcp-shop.user.v1", spec.SecretEnv["URL"], spec.SecretEnv["BOTH"]},
		strings.Fields(spec.Labels[runtime.LabelSecrets]))
	for _, call := range h.engine.Calls() {
		require.NotContains(t, call.Name, "p@ss")
	}
}

func TestANodeRefusesSecretsThatAreNotForIt(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	other := trusting(t, newHost(t))
	tampered := v.seal("db", 6, "hush")
	tampered.Sealed = slices.Clone(tampered.Sealed)
	tampered.Sealed[len(tampered.Sealed)-1] ^= 1
	renamed := v.seal("db", 5, "hush")
	renamed.Version = 6
	foreign := v.seal("db", 6, "hush")
	foreign.Service = "blog"
	stranger := vault{t, other.by, v.node}
	elsewhere := vault{t, v.by, secrets.Recipient{Name: "orion", Key: other.node.Key}}
	oldKey := vault{t, v.by, secrets.Recipient{Name: "rift", Key: other.node.Key}}
	for name, c := range map[string]struct {
		envelope secrets.Envelope
		kind     fault.Kind
		want     string
	}{
		"a byte was changed":            {tampered, fault.Unauthorized, "the signature is not one of"},
		"another version":               {renamed, fault.Unauthorized, "the signature is not one of"},
		"of another service":            {foreign, fault.Invalid, "shop/db v6 has not come with what needs it"},
		"an older version":              {v.seal("db", 5, "hush"), fault.Invalid, "shop/db v6 has not come with what needs it"},
		"of a signer it does not trust": {stranger.seal("db", 6, "hush"), fault.Unauthorized, "node rift does not trust its signer"},
		"for another node":              {elsewhere.seal("db", 6, "hush"), fault.Unauthorized, "shop/db v6 is not sealed to node rift"},
		"for its former key":            {oldKey.seal("db", 6, "hush"), fault.Unauthorized, "sealed to another key of node rift"},
	} {
		t.Run(name, func(t *testing.T) {
			in := plainAPI(3)
			in.Definition.SecretEnv = map[string]string{"PASSWORD": "db"}
			in.Definition.Versions = servicedef.SecretVersions{"db": {Name: "db", Version: 6}}
			in.Envelopes = []secrets.Envelope{c.envelope}
			err := h.run(in)
			require.Equal(t, c.kind, err.Kind, err)
			require.Contains(t, err.Message, c.want)
			require.NotContains(t, err.Error(), "hush")
			require.Empty(t, h.specs)
			require.Empty(t, secretNames(t, h))
		})
	}
}

func TestANodeWithoutSignersSaysWhatToAdd(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	signer := v.by.Signer().String()
	survey := func() onnode.SurveyResult {
		found, err := h.Survey(t.Context(), onnode.SurveyInput{Service: "shop", Signers: []string{signer}})
		require.NoError(t, err)
		return found
	}
	require.Empty(t, survey().Refuses)
	trusted := h.Secrets.Signers
	h.Secrets.Signers = nil
	require.Contains(t, survey().Refuses, "its mcp.toml names no signer")
	require.Contains(t, survey().RefusesHint, "mcp secret signer")
	h.Secrets.Signers = trusting(t, newHost(t)).signers()
	require.Contains(t, survey().Refuses, "does not trust its signer "+signer)
	h.Secrets.Signers, h.Secrets.Identity = trusted, nil
	require.Contains(t, survey().Refuses, "its worker has no key")
}

func (v vault) signers() []secrets.Signer { return []secrets.Signer{v.by.Signer()} }

func TestAVersionThatIsGivenTwiceIsAnotherSecret(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	run := func(deployment int, value string) string {
		c := plainAPI(deployment)
		c.Definition.SecretEnv = map[string]string{"PASSWORD": "db"}
		c.Definition.Versions = servicedef.SecretVersions{"db": {Name: "db", Version: 6}}
		c.Envelopes = []secrets.Envelope{v.seal("db", 6, value)}
		require.Nil(t, h.run(c))
		return string(h.engine.SecretValue(h.specs[len(h.specs)-1].SecretEnv["PASSWORD"]))
	}
	require.Equal(t, "old", run(3, "old"))
	require.Equal(t, "new", run(4, "new"))
	require.Equal(t, "old", run(5, "old"))
	require.Len(t, secretNames(t, h), 2)
}

func TestALongNameIsShortened(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	long := strings.Repeat("n", secrets.MaxName)
	c := plainAPI(3)
	c.Definition.Secrets = []servicedef.Secret{{Source: long}}
	c.Definition.Versions = servicedef.SecretVersions{long: {Name: long, Version: 6}}
	c.Envelopes = []secrets.Envelope{v.seal(long, 6, "hush")}
	require.Nil(t, h.run(c))
	require.Len(t, h.specs[0].Secrets[0].Source, runtime.MaxSecretName)
	require.Equal(t, "/run/secrets/"+long, h.specs[0].Secrets[0].Target)
}

func TestAVariableCannotHaveEveryValue(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	for value, want := range map[string]string{"a\x00b": "has a NUL byte", strings.Repeat("x", 128<<10): "Linux limits a variable"} {
		for _, variable := range []string{"", "{secret:db}"} {
			c := plainAPI(3)
			if variable == "" {
				c.Definition.SecretEnv = map[string]string{"PASSWORD": "db"}
			} else {
				c.Definition.Env = map[string]string{"PASSWORD": variable}
			}
			c.Definition.Versions = servicedef.SecretVersions{"db": {Name: "db", Version: 6}}
			c.Envelopes = []secrets.Envelope{v.seal("db", 6, value)}
			err := h.run(c)
			require.Equal(t, fault.Invalid, err.Kind)
			require.Contains(t, err.Message, want)
			require.NotContains(t, err.Error(), value)
		}
	}
}

func TestAJobHasItsSecrets(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	c := plainAPI(3)
	c.Definition.Env = map[string]string{"URL": "x:{secret:db}"}
	c.Definition.Versions = servicedef.SecretVersions{"db": {Name: "db", Version: 6}}
	c.Envelopes = []secrets.Envelope{v.seal("db", 6, "hush")}
	h.startTask(t, onnode.TaskSpec{Task: fleet.Task{ID: "r/1", Kind: fleet.JobTask, Name: "api"}, Component: c})
	require.Equal(t, "x:hush", string(h.engine.SecretValue(h.specs[0].SecretEnv["URL"])))
}

func TestSecretsThatNobodyNeedsArePruned(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	h.engine.AddSecret("by-hand")
	require.NoError(t, h.engine.CreateSecret(t.Context(), runtime.SecretSpec{Name: "mcp-blog.db.v1", Value: []byte("x"), Labels: map[string]string{
		runtime.LabelService: "blog", runtime.LabelSecret: "db", runtime.LabelSecretVersion: "1",
	}}))
	for version := 4; version <= 6; version++ {
		require.Nil(t, h.run(sealed(version, v.seal("db", version, fmt.Sprint("p", version)), v.seal("user", 1, "app"))))
	}
	require.Len(t, secretNames(t, h), 2+3+1+3*2)
	require.Nil(t, h.do(h.PruneSecrets, onnode.PruneSecretsInput{Service: "shop", Deployment: 6, Keep: []string{"mcp-shop.db.v5"}}))
	left := secretNames(t, h)
	require.Len(t, left, 7, "what the container has, what was to stay, and what is another's: %v", left)
	require.Contains(t, left, "by-hand")
	require.Contains(t, left, "mcp-blog.db.v1")
	require.Contains(t, left, "mcp-shop.db.v5")
	require.NoError(t, h.engine.Remove(t.Context(), "shop-api.next"))
	require.Nil(t, h.do(h.PruneSecrets, onnode.PruneSecretsInput{Service: "shop", Deployment: 6}))
	require.ElementsMatch(t, []string{"by-hand", "mcp-blog.db.v1"}, secretNames(t, h))
	require.Equal(t, fault.Conflict, h.do(h.PruneSecrets, onnode.PruneSecretsInput{Service: "shop", Deployment: 5}).Kind, "a newer deployment has been here")
}

func TestARestoreMakesWhatTheEngineHasLost(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	h.engine.AddSecret("by-hand")
	c := sealed(3, v.seal("db", 6, "hush"), v.seal("user", 1, "app"))
	require.Nil(t, h.run(c))
	had := secretNames(t, h)
	for _, name := range had {
		if name != "by-hand" {
			require.NoError(t, h.engine.RemoveSecret(t.Context(), name))
		}
	}
	require.Nil(t, h.do(h.Restore, onnode.RestoreInput{
		Service: "shop", Deployment: 3, Sealed: []activities.ComponentSpec{c},
		Recovery: plan.Recovery{Node: "rift", Start: fleet.Refs("shop-api.next")},
	}))
	require.Equal(t, had, secretNames(t, h))

	// Of a container whose secrets have other names, because others had theirs.
	next := sealed(4, v.seal("db", 7, "another"), v.seal("user", 1, "app"))
	require.Nil(t, h.run(next))
	its := strings.Fields(h.specs[len(h.specs)-1].Labels[runtime.LabelSecrets])
	require.NoError(t, h.engine.Stop(t.Context(), "shop-api.next", 0))
	for _, name := range secretNames(t, h) {
		if name != "by-hand" {
			require.NoError(t, h.engine.RemoveSecret(t.Context(), name))
		}
	}
	require.Nil(t, h.do(h.Restore, onnode.RestoreInput{
		Service: "shop", Deployment: 4, Sealed: []activities.ComponentSpec{next},
		Recovery: plan.Recovery{Node: "rift", Start: fleet.Refs("shop-api.next")},
	}))
	require.ElementsMatch(t, append(its, "by-hand"), secretNames(t, h))

	c = next
	for i := range c.Envelopes { // what the engine has needs no envelope
		c.Envelopes[i].Signature = nil
	}
	require.Nil(t, h.do(h.Restore, onnode.RestoreInput{
		Service: "shop", Deployment: 4, Sealed: []activities.ComponentSpec{c},
		Recovery: plan.Recovery{Node: "rift", Start: fleet.Refs("shop-api.next")},
	}))
}
