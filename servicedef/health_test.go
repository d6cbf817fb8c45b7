package servicedef_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACheckCannotConnectToARouteOfUDP(t *testing.T) {
	withLog := edit(t, "# route", "[[components.routes]]\nname = \"log\"\nport = 514\nprotocol = \"udp\"\ncontainer_port = 5140")
	for name, port := range map[string]string{"by its name": `"log"`, "by its port": "5140"} {
		t.Run(name, func(t *testing.T) {
			found := problems(t, strings.Replace(withLog, "# health", "tcp = true\nport = "+port, 1))
			require.Len(t, found, 1, found)
			require.Equal(t, "components[0].health.port", found[0].Key)
			require.Contains(t, found[0].Message, "is of udp")
		})
	}
}
