package config

import (
	"cmp"
	"time"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/servicedef"
)

// Config is a complete configuration. Load returns only valid ones, with
// absolute paths and with sockets as URIs.
type Config struct {
	// Services is the directory of service definitions; "" if none is set.
	Services string `toml:"services"`
	// Deadline is how long a deploy waits for a part that is unavailable.
	Deadline      servicedef.Duration `toml:"deadline"`
	Build         Build               `toml:"build"`
	ImageRegistry ImageRegistry       `toml:"image_registry"`
	Ports         Ports               `toml:"ports"`
	Temporal      Temporal            `toml:"temporal"`
	Postgres      Postgres            `toml:"postgres"`
	Node          Node                `toml:"node"`
	Secrets       Secrets             `toml:"secrets"`
	Monitor       Monitor             `toml:"monitor"`
	Alerts        Alerts              `toml:"alerts"`
	Audit         Audit               `toml:"audit"`
	Worker        Worker              `toml:"worker"`
	Edge          Edge                `toml:"edge"`
	Door          Door                `toml:"door"`
	Gateway       Gateway             `toml:"gateway"`

	file   string
	getenv func(string) string
	codec  *codec.Codec // see Codec
	behind *codec.Codec // see Encryption
	// sources maps each key that is not a default to the source of its value.
	sources map[string]string
}

// Build configures which builder builds images, and from which sources.
type Build struct {
	// Workspace is the directory that a service's path is relative to. A CLI
	// that has one is itself a builder while it runs.
	Workspace string `toml:"workspace"`
	// Sources is the directory that a service's path is relative to for the files that a
	// CLI reads itself; "" means Workspace. With Sources alone a CLI builds nothing.
	Sources string `toml:"sources"`
	// Builder is the name of the builder. If there is a workspace, the default
	// combines the names of this host and of the workspace, because two
	// checkouts on one host are two builders.
	Builder string `toml:"builder"`
	// Socket is the socket of the podman that builds.
	Socket string `toml:"socket"`
	// Logs is the directory of complete build logs.
	Logs string `toml:"logs"`
	// SigningKeyFile is a private key of cosign that signs what the builder has pushed;
	// "" signs nothing. SigningPassphrase reads its passphrase.
	SigningKeyFile        string `toml:"signing_key_file"`
	SigningPassphraseFile string `toml:"signing_passphrase_file"`
}

// ImageRegistry configures access to image registries.
type ImageRegistry struct {
	// Insecure lists the registries, as host:port, that serve plain http or
	// have an untrusted certificate.
	Insecure []string `toml:"insecure"`
	// AuthFile holds credentials, in docker's or podman's format; "" means the
	// default files of those two.
	AuthFile string `toml:"auth_file"`
	// RequireSignature maps image registries, or parts of them, to the files of the public
	// keys, one of which must have signed each image that a node runs.
	RequireSignature map[string][]string `toml:"require_signature"`
}

// Ports bounds the host ports that are allocated to routes.
type Ports struct {
	Low  int `toml:"low"`
	High int `toml:"high"`
	// Rest is how long a released port stays unallocated.
	Rest servicedef.Duration `toml:"rest"`
}

// Temporal configures the connection to Temporal; TLS and keys are in Temporal's
// own configuration. TemporalOptions documents the defaults.
type Temporal struct {
	Address   string `toml:"address"`
	Namespace string `toml:"namespace"`
	// Profile names a profile of temporal.toml, which overrides the two above.
	Profile string `toml:"profile"`
	// Insecure allows a connection without encryption to another machine.
	Insecure bool `toml:"insecure"`
	// UI is the URL of Temporal's UI, for mcp open; "" if there is none.
	UI string `toml:"ui"`
	// EncryptionKeyFile has the keys that encrypt everything that is given to Temporal and,
	// for a control worker, what the registry keeps of definitions; "" encrypts nothing.
	EncryptionKeyFile string `toml:"encryption_key_file"`
	// CodecListen is the loopback address at which a control worker or a gateway decrypts
	// for Temporal's UI; "" or "off" means none.
	CodecListen string `toml:"codec_listen"`
}

// Postgres configures access to the registry. Only control workers read it.
type Postgres struct {
	URL string `toml:"url"`
	// URLFile is a file that contains only the URL.
	URLFile string `toml:"url_file"`
	// OwnerURLFile is a file that contains only the URL of the role that owns the tables;
	// only mcp migrate reads it. "" means that workers connect as that role.
	OwnerURLFile string `toml:"owner_url_file"`
	// Insecure allows a connection without encryption to another machine.
	Insecure bool `toml:"insecure"`
}

// Audit configures how long the audit is kept. Only mcp migrate reads it.
type Audit struct {
	// Keep is how long an action stays.
	Keep servicedef.Duration `toml:"keep"`
}

// Node configures a node's worker.
type Node struct {
	Name   string `toml:"name"`
	Socket string `toml:"socket"`
	// Publish is the address that routes are published on.
	Publish string `toml:"publish"`
	// Machine is a file with an identifier of this machine; "" means the
	// system's file, or one that the worker creates.
	Machine string `toml:"machine"`
	// Data is a directory for the files that containers mount; it outlives a reboot, and
	// podman finds it at the same path.
	Data string `toml:"data"`
	// Logs is the directory that keeps the output of steps and jobs.
	Logs string `toml:"logs"`
	// Keys is the directory of the private key to which secrets for the node are sealed; ""
	// means keys beside Data. See NodeKey.
	Keys string `toml:"keys"`
	// Signers are the public keys of the operators whose secrets the node takes.
	Signers []string `toml:"signers"`
	// Policy is the file with the rules of what may run, and be built, on this host; "" means
	// policy.DefaultFile, which may be missing.
	Policy string `toml:"policy"`
}

// Secrets configures what an operator seals and signs secrets with.
type Secrets struct {
	// SigningKey is the file of the operator's private key; the first use makes it.
	SigningKey string `toml:"signing_key"`
	// Keys is the file of pinned keys. See PinsFile.
	Keys string `toml:"keys"`
}

// Monitor configures how nodes are monitored. Only control workers read it.
type Monitor struct {
	// Interval is how often each node is observed.
	Interval servicedef.Duration `toml:"interval"`
}

// Alerts configures the destinations of events. Only control workers read it.
type Alerts struct {
	// Webhook is a URL that each event is posted to.
	Webhook string `toml:"webhook"`
	// Insecure allows a webhook without encryption on another machine.
	Insecure bool `toml:"insecure"`
	// SecretFile contains only the secret that signs the posted events.
	SecretFile string `toml:"secret_file"`
	// Command is a program, with its arguments, that is run for each event.
	Command []string `toml:"command"`
}

// Worker configures every worker, whatever its roles.
type Worker struct {
	// Listen is the address of metrics and health; "" or "off" means none.
	Listen string `toml:"listen"`
}

// DefaultListen is the default address of metrics and health: reachable from this
// host alone, with the default port of OpenTelemetry's Prometheus exporters
// (OTEL_EXPORTER_PROMETHEUS_PORT).
const DefaultListen = "127.0.0.1:9464"

// defaults returns the configuration of a process without file, variables and
// flags.
func defaults(getenv func(string) string) *Config {
	return &Config{
		Deadline: servicedef.Duration(30 * time.Minute),
		Build:    Build{Socket: podmanSocket(getenv), Logs: stateDir(getenv, "builds")},
		Ports:    Ports{Low: 10000, High: 60000, Rest: servicedef.Duration(time.Minute)},
		Node:     Node{Socket: podmanSocket(getenv), Publish: "127.0.0.1", Logs: stateDir(getenv, "tasks"), Data: stateDir(getenv, "node")},
		Secrets:  Secrets{SigningKey: userDir(getenv, "signing.key")},
		Monitor:  Monitor{Interval: servicedef.Duration(30 * time.Second)},
		Audit:    Audit{Keep: servicedef.Duration(365 * 24 * time.Hour)},
		Worker:   Worker{Listen: DefaultListen},
		Edge:     Edge{Data: stateDir(getenv, "edge"), Metrics: DefaultEdgeMetrics, ACME: ACME{Directory: LetsEncrypt}},
		Door:     Door{Identity: userDir(getenv, "identity")},
		Gateway: Gateway{
			Listen: DefaultDoor, KeyFile: userDir(getenv, "gateway.key"), Data: stateDir(getenv, "gateway"),
			Metrics: DefaultGatewayMetrics, Life: servicedef.Duration(identity.DefaultLife),
		},
		getenv:  getenv,
		sources: map[string]string{},
	}
}

// File returns the file that the configuration was read from; "" if there was
// none.
func (c *Config) File() string { return c.file }

// SourceDir returns the directory that a service's path is relative to on this machine;
// "" if there is none.
func (b Build) SourceDir() string { return cmp.Or(b.Sources, b.Workspace) }

// Describe returns the file that the configuration was read from, or the places
// that were searched; it completes the sentence "this configuration is …".
func (c *Config) Describe() string {
	if c.file != "" {
		return c.file
	}
	return "empty: there is no " + searched(c.getenv)
}
