package config

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Edge configures an edge, the program mcp-edge.
type Edge struct {
	Name string `toml:"name"`
	// Data is the directory of its key, its publications, its certificates and its
	// access logs. No two edges share one.
	Data string `toml:"data"`
	// Listen is the address of this host on which it serves; "" means all of them.
	Listen string `toml:"listen"`
	// Ports maps the port of a route to the one on which the edge listens instead.
	Ports map[string]int `toml:"ports"`
	// Addresses are those at which clients reach the edge; none means those of this
	// host's network interfaces.
	Addresses []string `toml:"addresses"`
	// TrustedProxies are the networks of proxies before the edge, whose X-Forwarded-…
	// headers it believes.
	TrustedProxies []string `toml:"trusted_proxies"`
	// Balancers are the networks of load balancers before the edge, whose connections
	// begin with a PROXY header.
	Balancers []string `toml:"balancers"`
	// Certificates are PEM files, each with a certificate, its chain and its key.
	Certificates []string `toml:"certificates"`
	// Metrics is the address of metrics and health; "" or "off" means none.
	Metrics string `toml:"metrics"`
	ACME    ACME   `toml:"acme"`
}

// ACME configures the authority that signs the certificates of hostnames.
type ACME struct {
	// Directory is its URL; "off" means the edge's own authority for every hostname.
	Directory string `toml:"directory"`
	// Email is where the authority announces what concerns the account; "" for none.
	Email string `toml:"email"`
	// Root is a PEM file with the root that has signed the authority's own
	// certificate; "" means one that this host trusts.
	Root string `toml:"root"`
	// DNS is the provider of the hostnames' zones, which answers DNS-01 challenges; ""
	// for none.
	DNS string `toml:"dns"`
	// DNSFile has the provider's settings, in JSON.
	DNSFile string `toml:"dns_file"`
}

// LetsEncrypt is the default authority.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// DefaultEdgeMetrics is the default address of an edge's metrics and health: beside
// that of another worker on the same host.
const DefaultEdgeMetrics = "127.0.0.1:9466"

// Off is the value of edge.acme.directory for an edge with its own authority alone.
const Off = "off"

// PortMap returns Ports with numbers.
func (e Edge) PortMap() map[int]int {
	ports := make(map[int]int, len(e.Ports))
	for of, listened := range e.Ports {
		number, _ := strconv.Atoi(of) // validated
		ports[number] = listened
	}
	return ports
}

// CheckCertificates returns an error if a file of Certificates cannot be read, or if
// other users of this machine can read it.
func (e Edge) CheckCertificates() error {
	for _, path := range e.Certificates {
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("read edge.certificates: %w", err)
		}
		_ = file.Close()
		if err := mustBePrivate(path); err != nil {
			return err
		}
	}
	return nil
}

// DNSSettings reads the settings of the provider of DNS-01; nil if there is none. It
// refuses a file that other users of this machine can read.
func (a ACME) DNSSettings() ([]byte, error) {
	if a.DNSFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(a.DNSFile)
	if err != nil {
		return nil, fmt.Errorf("read edge.acme.dns_file: %w", err)
	}
	return text, mustBePrivate(a.DNSFile)
}

func (v *validation) edge(e Edge) {
	v.label("edge.name", e.Name)
	v.check(e.Data != "", "edge.data", "must be a directory")
	v.check(e.Listen == "" || isAddress(e.Listen), "edge.listen", "must be an IP address of this host, not %q", e.Listen)
	listened := map[int]string{}
	for _, k := range sortedKeys(e.Ports) {
		number, err := strconv.Atoi(k)
		v.check(err == nil && number >= 1 && number <= 65535, "edge.ports", "must map a port between 1 and 65535, not %q", k)
		v.port("edge.ports."+k, e.Ports[k])
		other, taken := listened[e.Ports[k]]
		v.check(!taken, "edge.ports."+k, "is %d, as is edge.ports.%s: each needs its own", e.Ports[k], other)
		listened[e.Ports[k]] = k
	}
	for _, address := range e.Addresses {
		v.check(isAddress(address), "edge.addresses", "must contain IP addresses, not %q", address)
	}
	v.networks("edge.trusted_proxies", e.TrustedProxies)
	v.networks("edge.balancers", e.Balancers)
	v.check(listens(e.Metrics), "edge.metrics", `must be host:port, such as %q, or "off", not %q`, DefaultEdgeMetrics, e.Metrics)
	v.check(e.ACME.Directory == Off || isWebURL(e.ACME.Directory) && strings.HasPrefix(e.ACME.Directory, "https://"), "edge.acme.directory",
		`must begin with https://, or be "off", unlike %q`, e.ACME.Directory)
	v.check(e.ACME.Email == "" || strings.Contains(e.ACME.Email, "@"), "edge.acme.email", "must be an address of e-mail, not %q", e.ACME.Email)
	v.check(e.ACME.DNSFile == "" || e.ACME.DNS != "", "edge.acme.dns_file", "needs edge.acme.dns, which is not set")
}

func (v *validation) networks(key string, networks []string) {
	for _, network := range networks {
		_, err := netip.ParsePrefix(network)
		v.check(err == nil, key, "must contain networks such as 10.0.0.0/8, not %q", network)
	}
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}
