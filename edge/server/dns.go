package server

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/acmedns"
	"github.com/libdns/cloudflare"
	"github.com/libdns/hetzner"
	"github.com/libdns/rfc2136"

	"github.com/metacircular/mcp/internal/fault"
)

// dnsProviders are the known providers. acmedns is for the zones of any other
// provider, with a CNAME to it; rfc2136 for BIND, Knot, PowerDNS and others.
var dnsProviders = map[string]func() certmagic.DNSProvider{
	"acmedns":    func() certmagic.DNSProvider { return new(acmedns.Provider) },
	"cloudflare": func() certmagic.DNSProvider { return new(cloudflare.Provider) },
	"hetzner":    func() certmagic.DNSProvider { return new(hetzner.Provider) },
	"rfc2136":    func() certmagic.DNSProvider { return new(rfc2136.Provider) },
}

// NewDNS returns how DNS-01 challenges are answered by a provider, with the settings
// of its libdns module, in JSON. A further setting, "resolvers", lists the DNS servers
// that are asked whether a record has appeared, as host:port.
func NewDNS(provider string, settings []byte) (*DNS, error) {
	create := dnsProviders[provider]
	if create == nil {
		return nil, fault.New(fault.Invalid, "edge.acme.dns: %q is not a known provider of DNS", provider).
			WithHint("known are %s", strings.Join(slices.Sorted(maps.Keys(dnsProviders)), ", "))
	}
	all := map[string]json.RawMessage{}
	d := &DNS{Provider: create()}
	if len(settings) > 0 {
		if err := json.Unmarshal(settings, &all); err != nil {
			return nil, invalidSettings(provider)
		}
	}
	if resolvers, ok := all["resolvers"]; ok {
		delete(all, "resolvers")
		if err := json.Unmarshal(resolvers, &d.Resolvers); err != nil {
			return nil, fault.New(fault.Invalid, `edge.acme.dns_file: "resolvers" must be a list of host:port`)
		}
	}
	for _, resolver := range d.Resolvers {
		if _, _, err := net.SplitHostPort(resolver); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "edge.acme.dns_file: resolvers")
		}
	}
	rest, err := json.Marshal(all)
	if err != nil {
		return nil, invalidSettings(provider)
	}
	decoder := json.NewDecoder(bytes.NewReader(rest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(d.Provider); err != nil {
		return nil, invalidSettings(provider)
	}
	return d, nil
}

// invalidSettings does not quote the cause, which may hold a secret.
func invalidSettings(provider string) error {
	return fault.New(fault.Invalid, "edge.acme.dns_file has other settings than the DNS provider %s", provider).
		WithHint("see https://github.com/libdns/%s", provider)
}
