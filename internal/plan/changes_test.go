package plan_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// What became of a variable is said, and not its value.
func TestAPlanSaysWhatBecomesOfVariables(t *testing.T) {
	in := steady()
	in.Release.Definition.Components[0].Env = map[string]string{"OLD": "1", "BOTH": "1", "SAME": "1"}
	in.Release.Definition.Components[0].SecretEnv = map[string]string{"KEY": "old"}
	in.Desired.Components[0].Env = map[string]string{"NEW": "1", "BOTH": "2", "SAME": "1"}
	in.Desired.Components[0].SecretEnv = map[string]string{"KEY": "new"}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, []plan.Change{
		{Field: "env.BOTH", To: "changed"}, {Field: "env.NEW", To: "added"}, {Field: "env.OLD", To: "removed"},
		{Field: "secret_env.KEY", To: "changed"},
	}, made.Steps[0].Changes)
}

// A definition that changes while the service is stopped replaces containers once it is
// active again.
func TestAPlanTellsAnOlderContainerFromOneThatWasChanged(t *testing.T) {
	in := steady()
	in.Desired.Components[0].Env = map[string]string{"KEY": "1"}
	while := in.Desired
	in.Release.Definition = &while // released while it was stopped: no container was started
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, plan.Replace, made.Steps[0].Action)
	require.Equal(t, []plan.Change{{Field: "container", From: "started with other settings", To: "with those of the definition"}}, made.Steps[0].Changes)

	in = steady()
	in.Nodes["rift"].Containers[0].Spec = "another"
	made, err = plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, []plan.Change{{Field: "container", From: "changed by hand", To: "as released"}}, made.Steps[0].Changes)
}

// Every key of a component is named when it changes, whether its container depends on it
// or not.
func TestAPlanNamesEveryKeyThatChanges(t *testing.T) {
	keys := map[string]func(c *servicedef.Component){
		"depends_on":          func(c *servicedef.Component) { c.DependsOn = []string{"web"} },
		"order":               func(c *servicedef.Component) { c.Order = servicedef.StopFirst },
		"drain":               func(c *servicedef.Component) { c.Drain++ },
		"health.http":         func(c *servicedef.Component) { c.Health.HTTP = "/" },
		"health.host":         func(c *servicedef.Component) { c.Health.Host = "shop.example" },
		"health.headers.X-A":  func(c *servicedef.Component) { c.Health.Headers = map[string]string{"X-A": "b"} },
		"health.status":       func(c *servicedef.Component) { c.Health.Status = servicedef.Statuses{204} },
		"health.tcp":          func(c *servicedef.Component) { c.Health.TCP = true },
		"health.port":         func(c *servicedef.Component) { c.Health.Port = "rest" },
		"health.cmd":          func(c *servicedef.Component) { c.Health.Cmd = []string{"true"} },
		"health.interval":     func(c *servicedef.Component) { c.Health.Interval++ },
		"health.timeout":      func(c *servicedef.Component) { c.Health.Timeout++ },
		"health.min_healthy":  func(c *servicedef.Component) { c.Health.MinHealthy++ },
		"health.retries":      func(c *servicedef.Component) { c.Health.Retries++ },
		"health.start_period": func(c *servicedef.Component) { c.Health.StartPeriod++ },
		"routes.rest.port":    func(c *servicedef.Component) { c.Routes[0].Port++ },
		"routes.rest.mode":    func(c *servicedef.Component) { c.Routes[0].Mode = "l7" },
		"routes.rest.hostname": func(c *servicedef.Component) {
			c.Routes[0].Hostname = servicedef.Hostnames{"shop.example"}
		},
		"routes.rest.redirect_from":  func(c *servicedef.Component) { c.Routes[0].RedirectFrom = []string{"www.shop.example"} },
		"routes.rest.path":           func(c *servicedef.Component) { c.Routes[0].Path = "/api" },
		"routes.rest.strip":          func(c *servicedef.Component) { c.Routes[0].Strip = true },
		"routes.rest.tls":            func(c *servicedef.Component) { c.Routes[0].TLS = new(bool) },
		"routes.rest.h2c":            func(c *servicedef.Component) { c.Routes[0].H2C = true },
		"routes.rest.compress":       func(c *servicedef.Component) { c.Routes[0].Compress = true },
		"routes.rest.basic_auth.ann": func(c *servicedef.Component) { c.Routes[0].BasicAuth = map[string]string{"ann": "$2y$10$hash"} },
		"routes.rest.allow":          func(c *servicedef.Component) { c.Routes[0].Allow = []string{"10.0.0.0/8"} },
		"routes.rest.proxy_protocol": func(c *servicedef.Component) { c.Routes[0].ProxyProtocol = "v2" },
		"routes.rest.edge":           func(c *servicedef.Component) { c.Routes[0].Edge = true },
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		t.Run(key, func(t *testing.T) {
			in := steady()
			in.Desired.Components = slices.Clone(in.Desired.Components)
			in.Desired.Components[1].DependsOn = nil
			api := &in.Desired.Components[0]
			api.Routes = slices.Clone(api.Routes)
			keys[key](api)
			made, err := plan.Make(in)
			require.NoError(t, err)
			for _, step := range made.Steps {
				require.Equal(t, plan.Keep, step.Action)
				if step.Component == "api" {
					require.Len(t, step.Changes, 1)
					require.Equal(t, key, step.Changes[0].Field)
				}
			}
			api.User = "1000" // and beside what replaces the container
			made, err = plan.Make(in)
			require.NoError(t, err)
			i := slices.IndexFunc(made.Steps, func(s plan.Step) bool { return s.Component == "api" })
			require.Equal(t, plan.Replace, made.Steps[i].Action)
			require.Len(t, made.Steps[i].Changes, 2)
		})
	}
}
