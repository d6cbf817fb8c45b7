package dev

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/dev/parts"
)

// Local is the name of the platform's node and of its builder.
const Local = "local"

// The directories of the parts in the platform's directory.
const (
	temporalDir = "temporal"
	registryDir = "registry"
	postgresDir = "postgres"
	podmanDir   = "podman"
	buildsDir   = "builds"
	nodeDir     = "node"
	tasksDir    = "tasks"
	edgeDir     = "edge"
	gatewayDir  = "gateway"
	keysDir     = "keys" // of the node, and of its only operator
	// identitiesDir has one directory for each role, with its certificate and key.
	identitiesDir = "identities"
)

// The files that the platform writes into its directory, beside those
// directories.
const (
	configName  = "mcp.toml"
	urlName     = "postgres.url"
	infoName    = "dev.json"
	machineName = "machine" // distinguishes this platform's node from others
	pidName     = "dev.pid"
	lockName    = "dev.lock"
	// policyName contains what may run on the node, and belongs to the user once it is
	// written.
	policyName = "node-policy.toml"
	// settingsName outlives the platform, for its next start.
	settingsName = "settings.json"
	// keysName contains the keys with which the platform encrypts.
	keysName = "encryption.keys"
	// LogName is the log of a platform in the background.
	LogName = "dev.log"
)

// Options configure a platform.
type Options struct {
	// Dir holds all of the platform's data; it is created if it is missing.
	Dir string
	// Workspace is the directory the builder builds from, Services the one
	// where the CLI finds definitions. "" means those of the last start, or
	// else the working directory and services in it.
	Workspace, Services string
	// Ports on 127.0.0.1; 0 means those of the last start, or free ones.
	RegistryPort, GatewayPort, UIPort int
	// HTTPPort and HTTPSPort are those on which the edge listens for ports 80 and 443;
	// likewise.
	HTTPPort, HTTPSPort int
	// Unsafe makes Temporal and Postgres not wait for the disk at a write: what they have
	// written outlives them, but not the machine.
	Unsafe bool
	// NoEdge starts no edge. There is none either if its program is missing.
	NoEdge bool
	// Socket is that of a podman to use; "" means the last start's.
	Socket string
	// MachineSocket is used if Socket is "" and a podman answers there;
	// otherwise the platform runs a private podman with its own storage.
	MachineSocket string
	// Unfiltered is [parts.PodmanOptions.Unfiltered] of a private podman.
	Unfiltered bool
	// Publish is the address that routes are published on; "" means that of the
	// last start, or 127.0.0.1.
	Publish string
	// listen is the address of metrics and health: that of the last start, or
	// one with a free port.
	listen string
	// codec is the address of the codec endpoint; likewise.
	codec string
	// temporalPort is the port of Temporal itself, which only the gateway is configured
	// with, and gatewayMetrics the address of the gateway's metrics.
	temporalPort   int
	gatewayMetrics string
	// Programs is the first directory to search for the programs temporal, registry
	// and mcp-edge; "" means the directory of this program.
	Programs string
	// Version is the version of mcp.
	Version string
	// Logger receives the platform's log, SDKLogger that of Temporal's SDK and
	// of the workers; nil means slog's default.
	Logger, SDKLogger *slog.Logger
}

// Info lists the addresses and directories of a platform.
type Info struct {
	Dir           string `json:"dir"`
	PID           int    `json:"pid"`
	Config        string `json:"config"`
	UI            string `json:"ui"`
	ImageRegistry string `json:"image_registry"`
	Postgres      string `json:"postgres"`
	Podman        string `json:"podman"`
	Workspace     string `json:"workspace"`
	Services      string `json:"services"`
	// Metrics is the URL that Prometheus scrapes; /healthz and /readyz are
	// served at the same address.
	Metrics string `json:"metrics"`
	Publish string `json:"publish"`
	// EncryptionKeyFile contains the keys that encrypt everything at rest in Temporal, and
	// definitions in Postgres.
	EncryptionKeyFile string `json:"encryption_key_file"`
	// Codec is the URL at which Temporal's UI has it decrypted.
	Codec string `json:"codec"`
	// Gateway is where Temporal is reached.
	Gateway GatewayInfo `json:"gateway"`
	// Identities is the directory with the platform's own identities: the gateway serves
	// them.
	Identities string `json:"identities"`
	// Edge is nil if there is none.
	Edge *EdgeInfo `json:"edge,omitempty"`
	// PrivatePodman is set if the platform runs its own podman.
	PrivatePodman bool `json:"private_podman"`
}

// Platform is a running local platform.
type Platform struct {
	options     Options
	temporal    string // the program
	registry    string // the program
	edge        string // the program; "" for no edge
	edgePorts   parts.EdgePorts
	lock        *os.File
	settle      time.Duration // see afterKill
	former      Info          // see afterKill
	signer      string        // the public key that signs secrets
	info        Info
	postgresURL string
	codec       *codec.Codec
	enrolling   sync.Mutex // guards the files of identities
	mu          sync.Mutex // guards keepers while parts start concurrently
	keepers     []*keeper
	workers     *keeper
	endRenewals func() // nil until it is started
}

// Info returns the addresses and directories of the platform.
func (p *Platform) Info() Info { return p.info }

// keep adds a keeper for a running part.
func (p *Platform) keep(name string, running part, again func(context.Context) (part, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepers = append(p.keepers, keep(p.options.Logger, name, running, again))
}

// path returns the path of a file in the platform's directory.
func (p *Platform) path(name string) string { return filepath.Join(p.options.Dir, name) }
