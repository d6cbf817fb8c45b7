package examples_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/collisions"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// The demo deploys these examples; this test reports mistakes in them sooner.
func TestTheExamplesAreValidAndCanBeBuilt(t *testing.T) {
	services := examples(t)
	require.Len(t, services, 2)

	var all []*servicedef.Service
	for _, service := range services {
		all = append(all, service)
		for _, component := range service.Components {
			build, ok := service.ImageBuild(component.Image)
			require.True(t, ok, "%s: no Containerfile for %s", service.Name, component.Image)
			require.FileExists(t, filepath.Join("src", service.ContextPath(build), build.Containerfile))
		}
	}
	require.NoError(t, collisions.Containers(all))
}

func TestOneExampleIsASingleComponentNamedAsItsService(t *testing.T) {
	services := examples(t)
	require.Equal(t, "hello", services["hello"].Components[0].Name)
	require.Len(t, services["guestbook"].Components, 2)
}

func TestTheApplicationsAreValid(t *testing.T) {
	dir, err := servicedir.Read("apps")
	require.NoError(t, err)
	services, problems := dir.WithSources("apps").Services()
	require.Empty(t, problems)
	require.Len(t, services, 4)
	var all []*servicedef.Service
	for _, service := range services {
		all = append(all, service)
		for _, component := range service.Components {
			if build, ok := service.ImageBuild(component.Image); ok {
				require.FileExists(t, filepath.Join("apps", service.Path, build.Containerfile))
			}
		}
	}
	require.NoError(t, collisions.Containers(all))
	require.NoError(t, collisions.Endpoints(all))
}

func examples(t *testing.T) map[string]*servicedef.Service {
	dir, err := servicedir.Read("services")
	require.NoError(t, err)
	services, problems := dir.Services()
	require.Empty(t, problems)
	return services
}
