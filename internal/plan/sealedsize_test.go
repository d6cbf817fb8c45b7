package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/versions"
	"github.com/metacircular/mcp/servicedef"
)

func TestSealedSecretsTravelTogether(t *testing.T) {
	// sized is a service whose two components get secrets of these sizes, in bytes.
	sized := func(api, both int) plan.Input {
		in := steady()
		in.Release.Secrets = map[string]fleet.KeptSecret{
			"tls": {Newest: 2, Versions: map[int]fleet.KeptVersion{2: {Nodes: []string{"rift"}, Size: api}}},
			"db":  {Newest: 1, Versions: map[int]fleet.KeptVersion{1: {Nodes: []string{"rift"}, Size: both}}},
		}
		in.Desired.Components[0].SecretEnv = map[string]string{"A": "db", "B": "tls"}
		in.Desired.Components[0].Secrets = []servicedef.Secret{{Source: "db"}}
		in.Desired.Components[1].SecretEnv = map[string]string{"A": "db"}
		in.Desired = versions.Newest(in.Desired, in.Release, func(string) bool { return true })
		return in
	}
	const kib = 1 << 10
	made, err := plan.Make(sized(fleet.MaxSealed-600*kib, 300*kib))
	require.NoError(t, err, "one secret is counted once for each component")
	require.Equal(t, "~api@rift ~web@rift", actions(made))
	_, err = plan.Make(sized(fleet.MaxSealed-600*kib+1, 300*kib))
	require.EqualError(t, err, "the components of shop get 1025 KiB of sealed secrets, counted once for each that gets one: "+
		"at most 1024 KiB can travel together; the largest are db (300 KiB, for api and web), tls (425 KiB, for api)")

	// What runs already is left alone.
	in := sized(fleet.MaxSealed, 300*kib)
	in.Release = released(in.Desired)
	in.Release.Secrets = sized(fleet.MaxSealed, 300*kib).Release.Secrets
	in.Nodes["rift"] = running(in.Release, "rift")
	made, err = plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "=api@rift =web@rift", actions(made))

	// A step and a job have their own.
	in = sized(10, 10)
	in.Desired.Steps = []servicedef.Step{{Name: "migrate", Component: "api", SecretEnv: map[string]string{"A": "tls"}}}
	in.Release.Secrets["tls"].Versions[2] = fleet.KeptVersion{Nodes: []string{"rift"}, Size: fleet.MaxSealed + 1}
	in.Desired.Components[0].SecretEnv, in.Desired.Components[0].Secrets = nil, nil
	in.Desired = versions.Newest(in.Desired, in.Release, func(string) bool { return true })
	in.Steps = in.Desired.Steps
	_, err = plan.Make(in)
	require.ErrorContains(t, err, "step migrate gets 1025 KiB of sealed secrets")
	in = sized(10, fleet.MaxSealed+1)
	in.Desired.Components = in.Desired.Components[1:]
	in.Desired.Components[0].DependsOn, in.Desired.Components[0].Schedule = nil, "@daily"
	_, err = plan.Make(in)
	require.ErrorContains(t, err, "job web gets 1025 KiB of sealed secrets")
}
