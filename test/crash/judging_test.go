package crash

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
)

// good is what a second release leaves when all is well.
func good() (rows, []runtime.ContainerInfo) {
	r := rows{
		Release: 2, Active: true,
		Deployments: []deployment{{Number: 1, Outcome: "succeeded", Told: "succeeded"}, {Number: 2, Outcome: "succeeded", Told: "succeeded"}},
		Components:  []member{{Name: "app", Container: "s1-app", Image: "r/app:v2", Digest: "sha256:2", Deployment: 2, Active: true}},
		Ports:       []port{{Port: 20001, Component: "app", Resting: true}, {Port: 20002, Component: "app", Committed: true}},
	}
	return r, []runtime.ContainerInfo{{
		Name: "s1-app", Image: "r/app@sha256:2", State: runtime.Running,
		Labels: map[string]string{runtime.LabelDeployment: "2"},
		Ports:  []runtime.PortMapping{{HostPort: 20002}},
	}}
}

// A checker that never finds anything proves nothing: this shows that it does.
func TestTheCheckerSees(t *testing.T) {
	tests := map[string]struct {
		harm func(*rows, *[]runtime.ContainerInfo)
		want string
	}{
		"nothing where nothing is wrong":      {func(*rows, *[]runtime.ContainerInfo) {}, ""},
		"a container that is missing":         {func(_ *rows, c *[]runtime.ContainerInfo) { *c = nil }, "container s1-app is missing"},
		"a container that has stopped":        {func(_ *rows, c *[]runtime.ContainerInfo) { (*c)[0].State = runtime.Stopped }, "container s1-app is stopped"},
		"a container of another release":      {func(_ *rows, c *[]runtime.ContainerInfo) { (*c)[0].Labels[runtime.LabelDeployment] = "1" }, "should be 2"},
		"a container of another image":        {func(_ *rows, c *[]runtime.ContainerInfo) { (*c)[0].Image = "r/app@sha256:1" }, "should be 2 of sha256:2"},
		"a container under a waiting name":    {func(_ *rows, c *[]runtime.ContainerInfo) { *c = append(*c, runtime.ContainerInfo{Name: "s1-app.prev"}) }, "container s1-app.prev (, deployment ) is nobody's"},
		"a port that podman does not publish": {func(_ *rows, c *[]runtime.ContainerInfo) { (*c)[0].Ports = nil }, "Postgres has the ports [20002], and podman []"},
		"a port that is held for nothing":     {func(r *rows, _ *[]runtime.ContainerInfo) { r.Ports[0].Resting = false }, "port 20001 of app is held by no release"},
		"an outcome that was told otherwise":  {func(r *rows, _ *[]runtime.ContainerInfo) { r.Deployments[1].Told = "failed" }, `is "succeeded" in its row and "failed" in its workflow`},
		"a workflow that is open":             {func(r *rows, _ *[]runtime.ContainerInfo) { r.Deployments[1].Told = "open" }, `"open" in its workflow`},
		"a success that is not the release":   {func(r *rows, _ *[]runtime.ContainerInfo) { r.Release = 1 }, "the release is 1"},
		"an undo that was not completed":      {func(r *rows, _ *[]runtime.ContainerInfo) { r.Deployments[1].Undone = []string{"start x"} }, "left undone: start x"},
		"a service that is dirty":             {func(r *rows, _ *[]runtime.ContainerInfo) { r.Dirty = true }, "dirty"},
		"a failure with another cause": {func(r *rows, _ *[]runtime.ContainerInfo) {
			r.Deployments = append(r.Deployments, deployment{Number: 3, Outcome: "failed", Told: "failed", Kind: "Internal", Message: "?"})
		}, "its error is Internal"},
		"a service without a deployment": {func(r *rows, _ *[]runtime.ContainerInfo) { *r = rows{} }, "there is no deployment"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, containers := good()
			test.harm(&r, &containers)
			err := judgeAll(r, containers, []string{"Unavailable"})
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestTheMatrixIsTheSameEachTime(t *testing.T) {
	calm := &play{story: stories[0], seen: []point{{"CutOver", 1, before}, {"CutOver", 1, inside}, {"CutOver", 1, after}}}
	first, second := calm.failing(), calm.failing()
	require.Len(t, first, 3*len(everybody)*len(failures))
	shuffle(first)
	shuffle(second)
	for i := range first {
		require.Equal(t, first[i].name(), second[i].name())
	}
}
