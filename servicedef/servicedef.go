// Package servicedef is the service definition: the one TOML file that an
// operator writes per service, what it means, and what is wrong with it.
package servicedef

import "time"

// Service is what one TOML file declares; it is deployed as one unit. A
// Service that Parse returned has every default filled in and is valid.
type Service struct {
	// Name is a DNS label, unique in the fleet.
	Name string `toml:"name" json:"name"`
	// Node is where the components run that name no node of their own.
	Node string `toml:"node" json:"node"`
	// Active is whether the service should run; a deploy of an inactive
	// service stops it.
	Active bool `toml:"active" json:"active"`
	// Reconcile has the monitor deploy the release again when a container of it
	// is missing or does not run.
	Reconcile bool `toml:"reconcile" json:"reconcile,omitempty"`
	// Path is the source directory, relative to the workspace.
	Path string `toml:"path" json:"path,omitempty"`
	// Build says how to make the images that the image registry lacks.
	Build Build `toml:"build" json:"build,omitzero"`
	// Components are the containers of the service, in the file's order.
	Components []Component `toml:"components" json:"components"`
	// File is where the definition was read from; "" when it was not.
	File string `toml:"-" json:"file,omitempty"`
}

// Build maps an image's name, the last element of its repository, to its
// Containerfile, relative to Service.Path.
type Build struct {
	Images map[string]string `toml:"images" json:"images,omitempty"`
}

// Component is one container of a service.
type Component struct {
	Name  string `toml:"name" json:"name"`
	Image string `toml:"image" json:"image"`
	// Node is never empty in a parsed Service: it defaults to Service.Node.
	Node string `toml:"node" json:"node"`
	// Cmd replaces the image's command; empty keeps it.
	Cmd []string          `toml:"cmd" json:"cmd,omitempty"`
	Env map[string]string `toml:"env" json:"env,omitempty"`
	// Secrets are podman's on the node, by name: each is a file of that name
	// below /run/secrets.
	Secrets []string `toml:"secrets" json:"secrets,omitempty"`
	// SecretEnv maps variables to such secrets; they hold what those hold.
	SecretEnv map[string]string `toml:"secret_env" json:"secret_env,omitempty"`
	// Volumes are "source:/target[:options]"; a source that is no absolute
	// path is a named volume.
	Volumes []string `toml:"volumes" json:"volumes,omitempty"`
	// Ports are "[ip:]host[-host]:container[-container][/tcp|/udp]".
	Ports []string `toml:"ports" json:"ports,omitempty"`
	// Order is StopFirst or StartFirst, never empty in a parsed Service.
	Order   Order  `toml:"order" json:"order"`
	User    string `toml:"user" json:"user,omitempty"`
	Network string `toml:"network" json:"network,omitempty"`
	// Restart is podman's restart policy: "no", "on-failure[:n]", "always" or
	// "unless-stopped", the default.
	Restart string `toml:"restart" json:"restart"`
	// Memory is a limit such as "256m"; "" means none. See MemoryBytes.
	Memory string `toml:"memory" json:"memory,omitempty"`
	// CPUs is a limit in cores; 0 means none.
	CPUs float64 `toml:"cpus" json:"cpus,omitempty"`
	// DependsOn names components of this service that must be healthy first.
	DependsOn []string `toml:"depends_on" json:"depends_on,omitempty"`
	// StopTimeout is how long the container may take to stop before it is
	// killed; 10 s by default.
	StopTimeout Duration `toml:"stop_timeout" json:"stop_timeout"`
	// Drain is how long a container with routes still serves after its
	// successor has taken them over, 1 s by default: a proxy or a client that
	// looked up its port a moment ago must not find it closed.
	Drain  Duration `toml:"drain" json:"drain"`
	Health Health   `toml:"health" json:"health"`
	Routes []Route  `toml:"routes" json:"routes,omitempty"`
}

// Order is which of the old and the new container goes first in an update.
type Order string

// The two orders, in Swarm's and Compose's terms.
const (
	StopFirst  Order = "stop-first"
	StartFirst Order = "start-first"
)

// Route is a named port of a component, for which mcp allocates a host port.
type Route struct {
	Name string `toml:"name" json:"name"`
	// Port is the port the world knows.
	Port int `toml:"port" json:"port"`
	// Mode is "l4" (the default) or "l7".
	Mode     string `toml:"mode" json:"mode"`
	Hostname string `toml:"hostname" json:"hostname,omitempty"`
	// ContainerPort is the port the image listens on; 0 if it listens on the
	// port that $PORT names, which then equals the host port.
	ContainerPort int `toml:"container_port" json:"container_port,omitempty"`
}

// Health says when a container counts as healthy. At most one of HTTP, TCP
// and Cmd is set. With none of them every route and tcp port must accept a
// connection, and without those the container must still run after
// StartPeriod.
type Health struct {
	// HTTP is a path that must answer 2xx or 3xx on the first route or port.
	HTTP string `toml:"http" json:"http,omitempty"`
	// TCP asks for a connection to the first route or port alone.
	TCP bool `toml:"tcp" json:"tcp,omitempty"`
	// Cmd runs in the container, and must exit 0.
	Cmd []string `toml:"cmd" json:"cmd,omitempty"`
	// Interval is the longest pause between two probes (10 s); the first
	// ones come faster.
	Interval Duration `toml:"interval" json:"interval"`
	// Timeout bounds one probe (5 s).
	Timeout Duration `toml:"timeout" json:"timeout"`
	// Retries is how many probes may fail in a row after StartPeriod (3).
	Retries int `toml:"retries" json:"retries"`
	// StartPeriod is the time in which failed probes do not count: 30 s, or
	// 1 s where there is nothing to probe.
	StartPeriod Duration `toml:"start_period" json:"start_period"`
}

// Duration is a time.Duration written as Go writes it: "1m30s".
type Duration time.Duration

// UnmarshalText parses "1m30s".
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText is the inverse of UnmarshalText.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
