package servicedef_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

// shopOf returns the text of a service of n typical components. Each depends on
// the one before it in its group of ten.
func shopOf(n int) []byte {
	var text strings.Builder
	text.WriteString("name = \"shop\"\nnode = \"rift\"\npath = \"shop\"\n\n[build.images]\nshop-0 = \"Containerfile\"\n")
	for i := range n {
		fmt.Fprintf(&text, `
[[components]]
name    = "part-%[1]d"
image   = "registry.example:5000/shop-%[1]d:v1.4.0"
cmd     = ["serve", "--verbose"]
env     = { LOG_LEVEL = "info", TITLE = "part %[1]d", DATA = "/data" }
volumes = ["part-%[1]d:/data"]
`, i)
		if i%10 != 0 {
			fmt.Fprintf(&text, "depends_on = [\"part-%d\"]\n", i-1)
		}
		text.WriteString(`
[components.health]
http     = "/healthz"
interval = "2s"

[[components.routes]]
name     = "rest"
port     = 8443
mode     = "l7"
hostname = "shop.example"
`)
	}
	return []byte(text.String())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1, 100} {
		text := shopOf(n)
		b.Run(fmt.Sprintf("components=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, err := servicedef.Parse(text, "shop.toml")
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, n := range []int{1, 100} {
		service, err := servicedef.Parse(shopOf(n), "shop.toml")
		require.NoError(b, err)
		b.Run(fmt.Sprintf("components=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, service.Validate())
			}
		})
	}
}
