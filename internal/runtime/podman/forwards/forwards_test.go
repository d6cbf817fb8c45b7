package forwards

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestTheRulesThatLeadFromAPort(t *testing.T) {
	const rules = `-P PREROUTING ACCEPT
-A NETAVARK-DN-1D87 -s 10.88.0.0/16 -d 10.0.0.1/32 -p tcp -m tcp --dport 9000 -j NETAVARK-HOSTPORT-SETMARK
-A NETAVARK-DN-1D87 -d 10.0.0.1/32 -p tcp -m tcp --dport 9000 -j DNAT --to-destination 10.88.0.12:8080
-A NETAVARK-DN-1D87 -d 10.0.0.1/32 -p udp -m udp --dport 9000 -j DNAT --to-destination 10.88.0.13:8080
-A NETAVARK-DN-1D87 -d 10.0.0.2/32 -p tcp -m tcp --dport 9000 -j DNAT --to-destination 10.88.0.14:8080
-A NETAVARK-DN-1D87 -p tcp -m tcp --dport 9001 -j DNAT --to-destination 10.88.0.15:8080
-A KUBE-1 -d 10.0.0.1/32 -p tcp -m tcp --dport 9000 -j DNAT --to-destination 10.1.0.12:8080
-A NETAVARK-DN-1D87 -j DNAT
`
	for name, c := range map[string]struct {
		port servicedef.Port
		to   string
	}{
		"on its address":  {servicedef.Port{IP: "10.0.0.1", Host: 9000, Protocol: "tcp"}, "10.88.0.12:8080"},
		"of its protocol": {servicedef.Port{IP: "10.0.0.1", Host: 9000, Protocol: "udp"}, "10.88.0.13:8080"},
		"on every one":    {servicedef.Port{Host: 9001, Protocol: "tcp"}, "10.88.0.15:8080"},
		"none":            {servicedef.Port{IP: "10.0.0.1", Host: 900, Protocol: "tcp"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := of(rules, []servicedef.Port{c.port})
			if c.to == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			require.Equal(t, "NETAVARK-DN-1D87", found[0][0])
			require.Equal(t, c.to, found[0][len(found[0])-1])
		})
	}
}
