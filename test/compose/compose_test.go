// Package compose_test tests docker-compose.yml without a compose engine: the loader
// of the reference implementation reads the file.
package compose_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/docker/reference"
	"go.yaml.in/yaml/v3"
)

const root = "../.."

// passwords are the only variables without a default.
var passwords = []string{
	"TEMPORAL_POSTGRES_PASSWORD=temporal-secret",
	"MCP_POSTGRES_PASSWORD=mcp-secret",
}

// load reads the file as `docker compose` does with an environment.
func load(t *testing.T, env []string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions(
		[]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithEnv(env), cli.WithResolvedPaths(true),
	)
	require.NoError(t, err)
	return options.LoadProject(context.Background())
}

func project(t *testing.T, env ...string) *types.Project {
	t.Helper()
	p, err := load(t, append(slices.Clone(passwords), env...))
	require.NoError(t, err)
	return p
}

// images maps each service to its image, ports each to what it publishes.
func images(p *types.Project) map[string]string {
	found := map[string]string{}
	for name, service := range p.Services {
		found[name] = service.Image
	}
	return found
}

func ports(p *types.Project) map[string]string {
	found := map[string]string{}
	for name, service := range p.Services {
		for _, port := range service.Ports {
			found[name] = port.Published
		}
	}
	return found
}

func TestAPasswordIsAskedFor(t *testing.T) {
	for i, missing := range passwords {
		name, _, _ := strings.Cut(missing, "=")
		t.Run(name, func(t *testing.T) {
			_, err := load(t, slices.Delete(slices.Clone(passwords), i, i+1))
			require.ErrorContains(t, err, name)
		})
	}
}

func TestEveryImageIsPinnedAndFullyQualified(t *testing.T) {
	for service, image := range images(project(t)) {
		named, err := reference.Parse(image)
		require.NoError(t, err, service)
		tagged, ok := named.(reference.NamedTagged)
		require.True(t, ok, "%s: %s has no tag", service, image)
		require.NotEqual(t, "latest", tagged.Tag(), service)
		require.Contains(t, reference.Domain(tagged), ".", "%s: %s names no registry host", service, image)
	}
}

func TestEveryImageAndPortIsAVariable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	var override []string
	for _, match := range regexp.MustCompile(`\$\{([A-Z_]+_IMAGE):-`).FindAllStringSubmatch(string(text), -1) {
		override = append(override, match[1]+"=mirror.example/"+strings.ToLower(match[1])+":v9")
	}
	for i, match := range regexp.MustCompile(`\$\{([A-Z_]+_PORT):-`).FindAllStringSubmatch(string(text), -1) {
		override = append(override, match[1]+"="+string(rune('1'+i))+"9999")
	}
	overridden := project(t, override...)

	for service, image := range images(overridden) {
		require.True(t, strings.HasPrefix(image, "mirror.example/"), "%s: %s is no variable", service, image)
	}
	published := ports(overridden)
	require.Equal(t, []string{"image-registry", "mcp-postgres", "temporal", "temporal-ui"},
		slices.Sorted(maps.Keys(published)))
	for service, port := range published {
		require.True(t, strings.HasSuffix(port, "9999"), "%s: port %s is no variable", service, port)
	}
	require.Len(t, slices.Compact(slices.Sorted(maps.Values(published))), len(published), "two ports share a variable")
}

func TestPortsArePublishedOnLoopbackAlone(t *testing.T) {
	p := project(t)
	require.Equal(t, map[string]string{
		"temporal": "7233", "temporal-ui": "8080", "mcp-postgres": "5432", "image-registry": "5000",
	}, ports(p))
	for name, service := range p.Services {
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, name)
		}
		require.NotEqual(t, "host", service.NetworkMode, name)
	}
}

func TestDataLivesInNamedVolumes(t *testing.T) {
	p := project(t)
	holds := map[string]string{
		"temporal-postgres": "/var/lib/postgresql/data",
		"mcp-postgres":      "/var/lib/postgresql/data",
		"image-registry":    "/var/lib/registry",
	}
	for name, target := range holds {
		mounted := p.Services[name].Volumes
		require.Len(t, mounted, 1, name)
		require.Equal(t, types.VolumeTypeVolume, mounted[0].Type, name)
		require.Equal(t, target, mounted[0].Target, name)
		require.Contains(t, p.Volumes, mounted[0].Source, name)
	}
	require.Len(t, p.Volumes, len(holds), "each has a volume of its own")
}

func TestEachServiceWaitsForWhatItNeeds(t *testing.T) {
	p := project(t)
	needs := map[string]struct{ on, condition string }{
		"temporal-schema":    {"temporal-postgres", types.ServiceConditionHealthy},
		"temporal":           {"temporal-schema", types.ServiceConditionCompletedSuccessfully},
		"temporal-namespace": {"temporal", types.ServiceConditionHealthy},
		"temporal-ui":        {"temporal", types.ServiceConditionHealthy},
		"mcp-worker-role":    {"mcp-postgres", types.ServiceConditionHealthy},
	}
	for name, service := range p.Services {
		need, waits := needs[name]
		if !waits {
			require.Empty(t, service.DependsOn, name)
			continue
		}
		require.Len(t, service.DependsOn, 1, name)
		require.Equal(t, need.condition, service.DependsOn[need.on].Condition, name)
		if need.condition == types.ServiceConditionHealthy {
			require.NotNil(t, p.Services[need.on].HealthCheck, "%s can never be healthy", need.on)
		}
	}
}

func TestOneShotsEndAndTheRestComesBack(t *testing.T) {
	for name, service := range project(t).Services {
		switch name {
		case "temporal-schema", "temporal-namespace", "mcp-worker-role":
			require.Equal(t, "on-failure:5", service.Restart, name)
			require.Nil(t, service.HealthCheck, name)
		default:
			require.Equal(t, types.RestartPolicyUnlessStopped, service.Restart, name)
		}
	}
}

func TestEachPasswordReachesBothOfItsEnds(t *testing.T) {
	p := project(t)
	value := func(service, key string) string {
		require.NotNil(t, p.Services[service].Environment[key], "%s: %s", service, key)
		return *p.Services[service].Environment[key]
	}
	require.Equal(t, "temporal-secret", value("temporal-postgres", "POSTGRES_PASSWORD"))
	require.Equal(t, "temporal-secret", value("temporal-schema", "SQL_PASSWORD"))
	require.Equal(t, "temporal-secret", value("temporal", "POSTGRES_PWD"))
	require.Equal(t, "mcp-secret", value("mcp-postgres", "POSTGRES_PASSWORD"))
	require.Equal(t, "mcp-secret", value("mcp-worker-role", "PGPASSWORD"))
	require.Empty(t, value("mcp-worker-role", "WORKER_PASSWORD"), "without one there is no role")
	p = project(t, "MCP_WORKER_PASSWORD=worker-secret")
	require.Equal(t, "worker-secret", value("mcp-worker-role", "WORKER_PASSWORD"))
}

func TestTemporalReadsTheTunedSettings(t *testing.T) {
	temporal := project(t).Services["temporal"]
	require.Len(t, temporal.Volumes, 1)
	mount := temporal.Volumes[0]
	require.True(t, mount.ReadOnly)
	require.Equal(t, *temporal.Environment["DYNAMIC_CONFIG_FILE_PATH"], mount.Target)

	text, err := os.ReadFile(mount.Source)
	require.NoError(t, err)
	var settings map[string][]struct{ Value any }
	require.NoError(t, yaml.Unmarshal(text, &settings))
	got := map[string]any{}
	for key, values := range settings {
		require.Len(t, values, 1, key)
		got[key] = values[0].Value
	}
	require.Equal(t, map[string]any{
		"frontend.ListWorkersEnabled":          true,
		"frontend.WorkerHeartbeatsEnabled":     true,
		"frontend.namespaceCount":              10000,
		"history.transferProcessorMaxPollRPS":  500,
		"matching.numTaskqueueReadPartitions":  1,
		"matching.numTaskqueueWritePartitions": 1,
		"system.enableActivityEagerExecution":  true,
	}, got)
}
