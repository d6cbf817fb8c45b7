package contract

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// testSecrets makes secrets, gives them to containers, and removes them.
func (s *suite) testSecrets(t *testing.T) {
	names := func(t *testing.T) (names []string) {
		t.Helper()
		kept, err := s.Runtime.Secrets(t.Context())
		require.NoError(t, err)
		for _, secret := range kept {
			names = append(names, secret.Name)
		}
		return names
	}
	secret := func(name, version string) runtime.SecretSpec {
		return runtime.SecretSpec{Name: name, Value: []byte("hush " + version), Labels: map[string]string{
			runtime.LabelService: "contract", runtime.LabelSecret: "db", runtime.LabelSecretVersion: version, runtime.LabelSecretCheck: "ab/c+d=",
		}}
	}
	spec := secret("mcp-contract.db-v6", "6")

	t.Run("secrets have the labels with which they were created", func(t *testing.T) {
		require.Empty(t, names(t))
		s.AddSecret("contract-key")
		require.NoError(t, s.Runtime.CreateSecret(t.Context(), spec))
		kept, err := s.Runtime.Secrets(t.Context())
		require.NoError(t, err)
		require.Equal(t, []runtime.SecretInfo{
			{Name: "contract-key", Labels: map[string]string{}}, {Name: spec.Name, Labels: spec.Labels},
		}, kept)
	})

	t.Run("a secret that exists is left alone, and another one of its name is a Conflict", func(t *testing.T) {
		require.NoError(t, s.Runtime.CreateSecret(t.Context(), spec))
		requireKind(t, fault.Conflict, s.Runtime.CreateSecret(t.Context(), secret(spec.Name, "7")))
		requireKind(t, fault.Conflict, s.Runtime.CreateSecret(t.Context(), secret("contract-key", "7")))
		require.Equal(t, []string{"contract-key", spec.Name}, names(t))
	})

	t.Run("of several calls at once each succeeds", func(t *testing.T) {
		wanted := secret("mcp-contract.at-once-v1", "1")
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = s.Runtime.CreateSecret(t.Context(), wanted) })
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), wanted.Name))
	})

	t.Run("a value or a name that the engine does not take is Invalid", func(t *testing.T) {
		for name, value := range map[string]string{
			"contract-empty": "", "contract-large": strings.Repeat("x", runtime.MaxSecret+1),
			strings.Repeat("n", 254): "hush",
		} {
			refused := secret(name, "1")
			refused.Value = []byte(value)
			requireKind(t, fault.Invalid, s.Runtime.CreateSecret(t.Context(), refused))
		}
		largest := secret(strings.Repeat("n", runtime.MaxSecretName), "1")
		largest.Value = []byte(strings.Repeat("x", runtime.MaxSecret))
		require.NoError(t, s.Runtime.CreateSecret(t.Context(), largest))
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), largest.Name))
	})

	t.Run("a container gets secrets", func(t *testing.T) {
		c := s.spec(t, "contract-trusted")
		c.Secrets, c.SecretEnv = []servicedef.Secret{{Source: "contract-key"}, {Source: spec.Name, Target: "db"}}, map[string]string{"PASSWORD": spec.Name}
		s.run(t, c)
	})

	t.Run("a container whose variable's secret is gone is not started again, and the error names it", func(t *testing.T) {
		gone := secret("contract-gone", "1")
		require.NoError(t, s.Runtime.CreateSecret(t.Context(), gone))
		c := s.spec(t, "contract-distrusted", "/app", "sleep", "1h")
		c.SecretEnv = map[string]string{"PASSWORD": gone.Name}
		s.run(t, c)
		require.NoError(t, s.Runtime.Stop(t.Context(), c.Name, 0))
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), gone.Name))
		err := s.Runtime.Start(t.Context(), c.Name)
		requireKind(t, fault.Invalid, err)
		var lacks *runtime.MissingError
		require.ErrorAs(t, err, &lacks)
		require.Equal(t, [2]string{"secret", gone.Name}, [2]string{string(lacks.What), lacks.Name})
		require.NoError(t, s.Runtime.CreateSecret(t.Context(), gone))
		require.NoError(t, s.Runtime.Start(t.Context(), c.Name))
		require.NoError(t, s.Runtime.Remove(t.Context(), c.Name))
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), gone.Name))
	})

	t.Run("a secret is removed by its whole name", func(t *testing.T) {
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), "mcp-contract.db"))
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), ""))
		require.Equal(t, []string{"contract-key", spec.Name}, names(t))
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), spec.Name))
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), spec.Name))
		require.NoError(t, s.Runtime.RemoveSecret(t.Context(), "contract-key"))
		require.Empty(t, names(t))
	})
}
