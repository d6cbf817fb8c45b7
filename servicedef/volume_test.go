package servicedef_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestOnlyVolumesThatAreWrittenToMakeStopFirstTheDefault(t *testing.T) {
	tests := map[string]struct {
		volumes  string
		writable []string
		order    servicedef.Order
	}{
		"none":                     {`[]`, nil, servicedef.StartFirst},
		"a configuration":          {`["/etc/shop:/etc/shop:ro"]`, nil, servicedef.StartFirst},
		"among other options":      {`["conf:/etc/shop:z,ro,noexec"]`, nil, servicedef.StartFirst},
		"an overlay":               {`["/srv/shop:/srv:O"]`, nil, servicedef.StartFirst},
		"an overlay that is kept":  {`["/srv/shop:/srv:O,upperdir=/u,workdir=/w"]`, []string{"/srv/shop"}, servicedef.StopFirst},
		"data":                     {`["data:/data"]`, []string{"data"}, servicedef.StopFirst},
		"data beside":              {`["/etc/shop:/etc/shop:ro", "/srv/shop/:/data:rw", "/srv/shop:/again"]`, []string{"/srv/shop"}, servicedef.StopFirst},
		"a name that holds \"ro\"": {`["data:/data:rprivate"]`, []string{"data"}, servicedef.StopFirst},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := parse(t, edit(t, "# db", "volumes = "+test.volumes)).Components[1]
			require.Equal(t, test.writable, c.WritableVolumes())
			require.Equal(t, test.order, c.Order)
		})
	}
}
