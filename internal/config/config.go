// Package config is mcp.toml: what each process of mcp is told about the
// world it runs in. Defaults are in code, the file goes over them, the
// environment over the file, and a command's flags over all.
package config

import (
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// Config is a whole configuration. One that Load returned is valid, its paths
// are absolute and its sockets are URIs.
type Config struct {
	// Services is the directory of service definitions; "" if none is set.
	Services string `toml:"services"`
	// Deadline is how long a deploy waits for what is down.
	Deadline      servicedef.Duration `toml:"deadline"`
	Build         Build               `toml:"build"`
	ImageRegistry ImageRegistry       `toml:"image_registry"`
	Ports         Ports               `toml:"ports"`
	Temporal      Temporal            `toml:"temporal"`
	Postgres      Postgres            `toml:"postgres"`
	Node          Node                `toml:"node"`
	Monitor       Monitor             `toml:"monitor"`
	Alerts        Alerts              `toml:"alerts"`
	Worker        Worker              `toml:"worker"`

	file   string
	getenv func(string) string
	// sources are where the values of keys come from that are not defaults.
	sources map[string]string
}

// Build says who builds images, and from what.
type Build struct {
	// Workspace is the directory that a service's path is relative to. The
	// CLI that has one is itself a builder while it runs.
	Workspace string `toml:"workspace"`
	// Builder is the builder that is asked: by default, where there is a
	// workspace, a name made of this host's and the workspace's, since two
	// checkouts on one host are two builders.
	Builder string `toml:"builder"`
	// Socket is that of the podman which builds.
	Socket string `toml:"socket"`
	// Logs is the directory that keeps whole build logs.
	Logs string `toml:"logs"`
}

// ImageRegistry says how to speak to image registries.
type ImageRegistry struct {
	// Insecure are those, as host:port, that speak plain http or whose
	// certificate nobody knows.
	Insecure []string `toml:"insecure"`
	// AuthFile holds credentials, in docker's or podman's format; "" for the
	// usual places.
	AuthFile string `toml:"auth_file"`
}

// Ports bounds the host ports that routes get.
type Ports struct {
	Low  int `toml:"low"`
	High int `toml:"high"`
	// Rest is how long a released port is not handed out again.
	Rest servicedef.Duration `toml:"rest"`
}

// Temporal says where Temporal is; TLS and keys are in its own configuration.
// See TemporalOptions for what holds where these are empty.
type Temporal struct {
	Address   string `toml:"address"`
	Namespace string `toml:"namespace"`
	// Profile is one of temporal.toml, which goes over the two above.
	Profile string `toml:"profile"`
	// UI is where Temporal's UI is, for mcp open; "" if there is none.
	UI string `toml:"ui"`
}

// Postgres says where the registry is. Only control workers read it.
type Postgres struct {
	URL string `toml:"url"`
	// URLFile is a file that holds the URL and nothing else.
	URLFile string `toml:"url_file"`
}

// Node says what a node's worker serves.
type Node struct {
	Name   string `toml:"name"`
	Socket string `toml:"socket"`
	// Publish is the address that routes are published on.
	Publish string `toml:"publish"`
	// Machine is a file that holds what tells this machine from others; "" for
	// the system's own, or one that the worker makes.
	Machine string `toml:"machine"`
}

// Monitor says how nodes are watched. Only control workers read it.
type Monitor struct {
	// Interval is how often each node is looked at.
	Interval servicedef.Duration `toml:"interval"`
}

// Alerts says who is told of events. Only control workers read it.
type Alerts struct {
	// Webhook is a URL that each event is posted to.
	Webhook string `toml:"webhook"`
	// SecretFile holds the secret that signs what is posted, and nothing else.
	SecretFile string `toml:"secret_file"`
	// Command is a program, with its arguments, that is run for each event.
	Command []string `toml:"command"`
}

// Worker says what every worker does beside its roles.
type Worker struct {
	// Listen is the address of metrics and health; "" or "off" for none.
	Listen string `toml:"listen"`
}

// DefaultListen is where metrics and health are served unless told otherwise:
// where nobody but this host sees them, at the port that OpenTelemetry's
// exporters for Prometheus have (OTEL_EXPORTER_PROMETHEUS_PORT).
const DefaultListen = "127.0.0.1:9464"

// defaults are what holds where nothing else is said.
func defaults(getenv func(string) string) *Config {
	return &Config{
		Deadline: servicedef.Duration(30 * time.Minute),
		Build:    Build{Socket: podmanSocket(getenv), Logs: stateDir(getenv, "builds")},
		Ports:    Ports{Low: 10000, High: 60000, Rest: servicedef.Duration(time.Minute)},
		Node:     Node{Socket: podmanSocket(getenv), Publish: "127.0.0.1"},
		Monitor:  Monitor{Interval: servicedef.Duration(30 * time.Second)},
		Worker:   Worker{Listen: DefaultListen},
		getenv:   getenv,
		sources:  map[string]string{},
	}
}

// File is where the configuration was read from; "" where there was none.
func (c *Config) File() string { return c.file }

// Describe names the file that the configuration was read from, or says where
// one was looked for; it ends the sentence "this configuration is …".
func (c *Config) Describe() string {
	if c.file != "" {
		return c.file
	}
	return "empty: there is no " + whereLooked(c.getenv)
}
