package server_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/server"
)

// zone is the DNS server of example., which accepts signed updates (RFC 2136).
type zone struct {
	mu      sync.Mutex
	records []dns.RR
	updates int
	removed int
}

const zoneKey = "c2VjcmV0IG9mIHRoZSB6b25lLCAzMiBieXRlcyBsb25n"

// startZone starts the server, and returns its address.
func startZone(t *testing.T, z *zone) string {
	t.Helper()
	port := freePort(t)
	for _, network := range []string{"tcp", "udp"} {
		s := &dns.Server{
			Addr: address(port), Net: network, Handler: z, TsigSecret: map[string]string{"edge.": zoneKey},
			MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
		}
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ListenAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
		<-started
	}
	return address(port)
}

func (z *zone) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = true
	switch {
	case r.Opcode == dns.OpcodeUpdate:
		if r.IsTsig() == nil || w.TsigStatus() != nil {
			m.Rcode = dns.RcodeRefused
			break
		}
		for _, rr := range r.Ns {
			if rr.Header().Class == dns.ClassINET {
				z.records = append(z.records, rr)
				z.updates++
			} else {
				z.removed++
			}
		}
		m.SetTsig("edge.", dns.HmacSHA256, 300, time.Now().Unix())
	case r.Question[0].Qtype == dns.TypeA:
		m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
	case r.Question[0].Qtype == dns.TypeSOA:
		soa := &dns.SOA{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.example.", Mbox: "m.example.", Serial: 1}
		if r.Question[0].Name == "example." {
			m.Answer = append(m.Answer, soa)
		} else {
			m.Ns = append(m.Ns, soa)
		}
	default:
		for _, rr := range z.records {
			if rr.Header().Name == r.Question[0].Name && rr.Header().Rrtype == r.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	_ = w.WriteMsg(m)
}

func TestDNSChallenge(t *testing.T) {
	z := &zone{}
	at := startZone(t, z)
	p := startPebble(t, map[int]int{80: freePort(t), 443: freePort(t)}, 90*24*time.Hour, at) // which reaches no edge
	provider, err := server.NewDNS("rfc2136", []byte(`{"key_name": "edge", "key_alg": "hmac-sha256", "key": "`+zoneKey+`", "server": "`+at+`", "resolvers": ["`+at+`"]}`))
	require.NoError(t, err)
	web := upstream(t, says("hello"))
	e := start(t, func(o *server.Options) {
		o.ACME = authority(&p.acmeSpec)
		o.ACME.DNS = provider
	}, publish("shop", l7(443, "*.shop.example", web)))
	e.secured(t, "*.shop.example")
	_, text := get(t, e.client(p.roots(t), "HTTP/2.0"), "https://any.shop.example/")
	require.Equal(t, "hello", text)
	z.mu.Lock()
	defer z.mu.Unlock()
	require.NotZero(t, z.updates)
	require.Equal(t, z.updates, z.removed)
}

func TestNewDNS(t *testing.T) {
	for name, c := range map[string]struct{ provider, settings, want string }{
		"an unknown provider": {"sheets", "", `"sheets" is not a known provider`},
		"no JSON":             {"rfc2136", "key = secret", "other settings than the DNS provider rfc2136"},
		"an unknown setting":  {"rfc2136", `{"keyname": "secret"}`, "other settings than the DNS provider rfc2136"},
		"no list":             {"rfc2136", `{"resolvers": "secret"}`, `"resolvers" must be a list`},
		"no port":             {"rfc2136", `{"resolvers": ["1.1.1.1"]}`, "missing port"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := server.NewDNS(c.provider, []byte(c.settings))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "secret")
		})
	}
	for _, provider := range []string{"acmedns", "cloudflare", "hetzner"} {
		_, err := server.NewDNS(provider, nil)
		require.NoError(t, err)
	}
}
