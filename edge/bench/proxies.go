package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
)

// proxy is a program under measurement: its name, and its port for each scheme.
type proxy struct {
	name  string
	ports map[string]int
}

// address returns where the proxy listens.
func (p proxy) address(scheme string) string { return fmt.Sprintf("127.0.0.1:%d", p.ports[scheme]) }

// newProxy chooses ports for a proxy.
func newProxy(name string) (proxy, error) {
	p := proxy{name: name, ports: map[string]int{}}
	for _, scheme := range []string{"http", "https"} {
		port, err := freePort()
		if err != nil {
			return p, err
		}
		p.ports[scheme] = port
	}
	return p, nil
}

// startProxies starts every proxy.
func (s *site) startProxies(ctx context.Context, o options) ([]proxy, error) {
	var proxies []proxy
	for _, starter := range []struct {
		name  string
		start func(context.Context, proxy) error
	}{
		{edge, func(ctx context.Context, p proxy) error { return s.startEdge(ctx, o.edge, p) }},
		{caddy, func(ctx context.Context, p proxy) error { return s.startCaddy(ctx, o.caddy, p) }},
		{nginx, s.startNginxProxy},
		{haproxy, s.startHAProxy},
	} {
		p, err := newProxy(starter.name)
		if err != nil {
			return nil, err
		}
		if err := starter.start(ctx, p); err != nil {
			return nil, fmt.Errorf("start %s: %w", p.name, err)
		}
		proxies = append(proxies, p)
	}
	return proxies, nil
}

// startCaddyAlone starts Caddy without another proxy beside it.
func (s *site) startCaddyAlone(ctx context.Context, program string) (proxy, error) {
	p, err := newProxy(caddy)
	if err != nil {
		return p, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return p, err
	}
	if err := s.writeCertificate(); err != nil {
		return p, err
	}
	return p, s.startCaddy(ctx, program, p)
}

// startCaddy starts Caddy: each hostname has a route with a static upstream.
func (s *site) startCaddy(ctx context.Context, program string, p proxy) error {
	type object = map[string]any
	var routes []object
	for _, host := range s.hosts {
		routes = append(routes, object{
			"match":  []object{{"host": []string{host}}},
			"handle": []object{{"handler": "reverse_proxy", "upstreams": []object{{"dial": s.upstream}}}},
		})
	}
	server := func(scheme string) object {
		return object{"listen": []string{p.address(scheme)}, "routes": routes, "automatic_https": object{"disable": true}}
	}
	secure := server("https")
	secure["tls_connection_policies"] = []object{{}}
	config, err := json.Marshal(object{
		"admin":   object{"disabled": true},
		"logging": object{"logs": object{"default": object{"level": "ERROR"}}},
		"apps": object{
			"http": object{"servers": object{"plain": server("http"), "secure": secure}},
			"tls":  object{"certificates": object{"load_files": []object{{"certificate": s.certificate, "key": s.key}}}},
		},
	})
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "caddy.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, program, "run", "--config", path)
	c.Env = append(os.Environ(), "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	return s.start(ctx, p.name, c, p.address("http"), p.address("https"))
}

// startNginxProxy starts nginx with a server for each hostname.
func (s *site) startNginxProxy(ctx context.Context, p proxy) error {
	var t strings.Builder
	fmt.Fprintf(&t, "upstream app { server %s; keepalive 64; }\nserver_names_hash_max_size 8192;\nserver_names_hash_bucket_size 128;\n", s.upstream)
	for _, host := range s.hosts {
		fmt.Fprintf(&t, `server {
	listen %s; listen %s ssl; server_name %s;
	ssl_certificate %s; ssl_certificate_key %s;
	location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
}
`, p.address("http"), p.address("https"), host, s.certificate, s.key)
	}
	return s.startNginx(ctx, p.name, t.String(), p.address("http"), p.address("https"))
}

// startNginx starts nginx with the http section of a configuration.
func (s *site) startNginx(ctx context.Context, name, section string, addresses ...string) error {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // only this user can read the files
	}
	text := fmt.Sprintf(`%s daemon off; worker_processes %d; pid %s/pid; error_log stderr error;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000;
client_body_temp_path %[3]s/1; proxy_temp_path %[3]s/2; fastcgi_temp_path %[3]s/3; uwsgi_temp_path %[3]s/4; scgi_temp_path %[3]s/5;
%[4]s
}
`, user, runtime.NumCPU(), dir, section)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return s.start(ctx, name, exec.CommandContext(ctx, "nginx", "-e", "stderr", "-p", dir, "-c", path), addresses...)
}

// startHAProxy starts HAProxy, which has no server for each hostname: a map leads every
// hostname to the backend.
func (s *site) startHAProxy(ctx context.Context, p proxy) error {
	var hosts strings.Builder
	for _, host := range s.hosts {
		fmt.Fprintf(&hosts, "%s app\n", host)
	}
	hostsMap := filepath.Join(s.dir, "haproxy.map")
	path := filepath.Join(s.dir, "haproxy.cfg")
	text := fmt.Sprintf(`global
	nbthread %d
defaults
	mode http
	timeout connect 5s
	timeout client 1m
	timeout server 1m
frontend world
	bind %s
	bind %s ssl crt %s
	use_backend %%[req.hdr(host),field(1,:),lower,map(%s)]
backend app
	http-reuse always
	server upstream %s
`, runtime.NumCPU(), p.address("http"), p.address("https"), filepath.Join(s.dir, "tls.pem"), hostsMap, s.upstream)
	for name, content := range map[string]string{hostsMap: hosts.String(), path: text} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return s.start(ctx, p.name, exec.CommandContext(ctx, "haproxy", "-db", "-f", path), p.address("http"), p.address("https"))
}

// startEdge starts mcp-edge on what it would have on disk after a reboot. It serves that
// without Temporal.
func (s *site) startEdge(ctx context.Context, program string, p proxy) error {
	data := filepath.Join(s.dir, "edge")
	if err := s.publish(filepath.Join(data, "publications")); err != nil {
		return err
	}
	config := filepath.Join(s.dir, "mcp.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `[temporal]
address = "127.0.0.1:1"
[edge]
name = "bench"
data = %q
listen = "127.0.0.1"
ports = { 80 = %d, 443 = %d }
certificates = [%q]
metrics = "off"
`, data, p.ports["http"], p.ports["https"], filepath.Join(s.dir, "tls.pem")), 0o600); err != nil {
		return err
	}
	return s.start(ctx, p.name, exec.CommandContext(ctx, program, "--config", config), p.address("http"), p.address("https"))
}

// publish writes the publications of one service for each hostname, which serves it over
// http and over https.
func (s *site) publish(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i, host := range s.hosts {
		p := fleet.Publication{Service: fmt.Sprintf("service-%d", i), Version: 1}
		for _, port := range []int{80, 443} {
			p.Routes = append(p.Routes, fleet.EdgeRoute{
				Endpoint:   fleet.Endpoint{Port: port, Protocol: fleet.ProtocolHTTP, Hostname: host},
				Components: []string{"web"}, Name: "http", Upstreams: []string{s.upstream}, Plain: port == 80,
			})
		}
		text, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, p.Service+".json"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
