package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/loopback"
	"github.com/metacircular/mcp/servicedef"
)

// Validate reports every invalid value with its key.
func (c *Config) Validate() error {
	v := validation{source: "configuration"}
	if c.file != "" {
		v.source = c.file
	}
	v.duration("deadline", c.Deadline)
	v.duration("ports.rest", c.Ports.Rest)
	v.check(time.Duration(c.Monitor.Interval) >= time.Second, "monitor.interval",
		`must be at least "1s", not %s`, time.Duration(c.Monitor.Interval))
	v.port("ports.low", c.Ports.Low)
	v.port("ports.high", c.Ports.High)
	v.check(c.Ports.Low <= c.Ports.High, "ports.high", "must not be less than ports.low")
	v.label("build.builder", c.Build.Builder)
	v.label("node.name", c.Node.Name)
	v.socket("build.socket", c.Build.Socket)
	v.socket("node.socket", c.Node.Socket)
	_, err := netip.ParseAddr(c.Node.Publish)
	v.check(err == nil, "node.publish", "must be an IP address of this node, not %q", c.Node.Publish)
	_, _, err = net.SplitHostPort(c.Temporal.Address)
	v.check(err == nil || c.Temporal.Address == "", "temporal.address", "must be host:port, not %q", c.Temporal.Address)
	v.check(c.Temporal.UI == "" || isWebURL(c.Temporal.UI), "temporal.ui", "must begin with http:// or https://, unlike %q", c.Temporal.UI)
	v.codec(c.Temporal)
	for _, host := range c.ImageRegistry.Insecure {
		v.check(host != "" && !strings.ContainsAny(host, "/ "), "image_registry.insecure", "must contain host:port as in an image's name, not %q", host)
	}
	v.signatures(c)
	v.check(listens(c.Worker.Listen), "worker.listen", `must be host:port, such as %q, or "off", not %q`, DefaultListen, c.Worker.Listen)
	for _, signer := range c.Node.Signers {
		v.check(isSigner(signer), "node.signers", "must contain what mcp secret signer prints, ed25519:…, not %.80q", signer)
	}
	v.edge(c.Edge)
	v.door(c.Door)
	v.gateway(c.Gateway)
	v.alerts(c.Alerts)
	v.check(time.Duration(c.Audit.Keep) >= 24*time.Hour, "audit.keep", `must be at least "24h", not %s`, time.Duration(c.Audit.Keep))
	v.private("image_registry.auth_file", c.ImageRegistry.AuthFile)
	v.postgres(c.Postgres)
	return errors.Join(v.problems...)
}

// private refuses a file with credentials that other users of this machine can read. If
// one is missing, what needs it reports the error.
func (v *validation) private(key, path string) {
	if path == "" {
		return
	}
	if err := mustBePrivate(path); !errors.Is(err, fs.ErrNotExist) {
		v.check(err == nil, key, "%v", err)
	}
}

// listens reports whether an address is valid, or means that there is none.
func listens(address string) bool {
	if address == "" || address == "off" {
		return true
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

var signer = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^ed25519:[A-Za-z0-9_-]{43}$`) })

func isSigner(text string) bool { return signer().MatchString(text) }

// validation collects problems.
type validation struct {
	source   string
	problems []error
}

func (v *validation) check(ok bool, key, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, fmt.Errorf("%s: %s: %s", v.source, key, fmt.Sprintf(format, args...)))
	}
}

// duration refuses a duration that is too short to be intended: a bare number in
// TOML would count nanoseconds.
func (v *validation) duration(key string, d servicedef.Duration) {
	v.check(time.Duration(d) >= time.Millisecond, key, `must be a time with its unit, such as "90s", not %s`, time.Duration(d))
}

func (v *validation) port(key string, port int) {
	v.check(port >= 1 && port <= 65535, key, "must be between 1 and 65535, not %d", port)
}

var dnsLabel = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`) })

// label checks the name of a node, of a builder or of an edge, which is part of a
// task queue's name.
func (v *validation) label(key, name string) {
	v.check(name == "" || len(name) <= 63 && dnsLabel().MatchString(name), key, "must consist of a-z, 0-9 and -, not %q", name)
}

func (v *validation) socket(key, socket string) {
	v.check(strings.HasPrefix(socket, "unix:///"), key, "must be podman's socket, such as unix:///run/podman/podman.sock, not %q", socket)
}

// codec refuses an address that other hosts reach: what listens there decrypts for
// whoever asks.
func (v *validation) codec(t Temporal) {
	if t.CodecListen == "" || t.CodecListen == "off" {
		return
	}
	v.check(listens(t.CodecListen) && isLoopback(t.CodecListen), "temporal.codec_listen",
		`must be a loopback address, such as "127.0.0.1:8234", or "off", not %q`, t.CodecListen)
	v.check(t.EncryptionKeyFile != "", "temporal.codec_listen", "needs temporal.encryption_key_file, which is not set")
	v.check(t.UI != "", "temporal.codec_listen", "needs temporal.ui: the endpoint answers that UI alone")
}

// isLoopback reports whether an address, host:port, is reached from this host alone.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// alerts never repeats the URL: it may contain a token.
func (v *validation) alerts(a Alerts) {
	v.check(a.Webhook == "" || isWebURL(a.Webhook), "alerts.webhook", "must be a URL that begins with https:// or http://")
	v.check(a.SecretFile == "" || a.Webhook != "", "alerts.secret_file", "needs alerts.webhook, which is not set")
	if address, err := url.Parse(a.Webhook); err == nil && address.Scheme == "http" && !a.Insecure {
		err := loopback.Check(context.Background(), address.Hostname())
		v.check(err == nil, "alerts.webhook", "is not encrypted: %v; give one that begins with https://, or where the network itself is encrypted, set [alerts] insecure = true", err)
	}
	v.check(len(a.Command) == 0 || filepath.IsAbs(a.Command[0]), "alerts.command",
		"must begin with the absolute path of a program, not %q", strings.Join(a.Command[:min(1, len(a.Command))], ""))
}

// postgres never repeats the URL: it contains a password.
func (v *validation) postgres(p Postgres) {
	v.check(p.URL == "" || p.URLFile == "", "postgres.url_file", "conflicts with postgres.url: set only one of them")
	v.check(p.URL == "" || isPostgresURL(p.URL), "postgres.url", "must begin with postgres://")
}
