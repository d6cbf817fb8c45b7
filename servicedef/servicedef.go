package servicedef

// Service is what one TOML file declares; it is deployed as one unit. A
// Service that Parse returns is valid and has every default filled in.
type Service struct {
	// Name is a DNS label, unique in the fleet.
	Name string `toml:"name" json:"name"`
	// Node is the node of the components that name none.
	Node string `toml:"node" json:"node"`
	// Active reports whether the service should run; a deploy of an inactive
	// service stops it.
	Active bool `toml:"active" json:"active"`
	// Reconcile makes the monitor deploy the release again when one of its
	// containers is missing or stopped.
	Reconcile bool `toml:"reconcile" json:"reconcile,omitempty"`
	// Path is the source directory, relative to the workspace.
	Path string `toml:"path" json:"path,omitempty"`
	// Env and EnvFile are for every component that does not set a variable itself. Parse
	// adds Env to that of each component, ReadSources the variables of the files.
	Env     map[string]string `toml:"env" json:"env,omitempty"`
	EnvFile Strings           `toml:"env_file" json:"env_file,omitempty"`
	// Build describes how to build the images that the image registry lacks.
	Build Build `toml:"build" json:"build,omitzero"`
	// Components are the containers of the service, in the file's order.
	Components []Component `toml:"components" json:"components"`
	// Sources are where the images come from whose tags git gives, by their names in
	// Build.Images. The command line finds them.
	Sources map[string]Source `toml:"-" json:"sources,omitempty"`
	// Steps are the programs that each deployment runs once, in the file's order.
	Steps []Step `toml:"steps" json:"steps,omitempty"`
	// Environment is that of the definition in which it is this service; "" for none.
	Environment string `toml:"-" json:"environment,omitempty"`
	// File is the file that the definition was read from; "" if there is none.
	File string `toml:"-" json:"file,omitempty"`
}

// Component returns the component of that name, if there is one.
func (s Service) Component(name string) (Component, bool) {
	for _, c := range s.Components {
		if c.Name == name {
			return c, true
		}
	}
	return Component{}, false
}

// componentNames returns the names in the file's order.
func (s *Service) componentNames() []string {
	names := make([]string, len(s.Components))
	for i, c := range s.Components {
		names[i] = c.Name
	}
	return names
}

// Step returns the step of that name, if there is one.
func (s Service) Step(name string) (Step, bool) {
	for _, step := range s.Steps {
		if step.Name == name {
			return step, true
		}
	}
	return Step{}, false
}

// Component is one container of a service.
type Component struct {
	Name  string `toml:"name" json:"name"`
	Image string `toml:"image" json:"image"`
	// Node is never empty in a parsed Service: it defaults to Service.Node.
	Node string `toml:"node" json:"node"`
	// Cmd replaces the image's command; empty keeps it.
	Cmd []string `toml:"cmd" json:"cmd,omitempty"`
	// Env may have secrets of the service in its values. See package envvalue.
	Env map[string]string `toml:"env" json:"env,omitempty"`
	// Secrets are secrets of the service, or of podman on the node, each of which becomes a
	// file, by default one of its name in /run/secrets.
	Secrets []Secret `toml:"secrets" json:"secrets,omitempty"`
	// SecretEnv maps environment variables to such secrets; a variable holds the
	// secret's value.
	SecretEnv map[string]string `toml:"secret_env" json:"secret_env,omitempty"`
	// Versions are those of the secrets that are the service's own. A deploy finds them.
	Versions SecretVersions `toml:"-" json:"secret_versions,omitempty"`
	// Volumes are "source:/target[:options]"; a source that is not an absolute
	// path is a named volume.
	Volumes []string `toml:"volumes" json:"volumes,omitempty"`
	// Ports are "[ip:]host[-host]:container[-container][/tcp|/udp]".
	Ports []string `toml:"ports" json:"ports,omitempty"`
	// Order is StopFirst or StartFirst, never empty in a parsed Service.
	Order   Order  `toml:"order" json:"order"`
	User    string `toml:"user" json:"user,omitempty"`
	Network string `toml:"network" json:"network,omitempty"`
	// Networks are those that the container is connected to beside that of its service.
	// See Joined.
	Networks Networks `toml:"networks" json:"networks,omitempty"`
	// Restart is podman's restart policy: "no", "on-failure[:n]", "always" or
	// "unless-stopped", the default.
	Restart string `toml:"restart" json:"restart"`
	// Memory is a limit such as "256m"; "" means none. See MemoryBytes.
	Memory string `toml:"memory" json:"memory,omitempty"`
	// LogSize bounds the container's log on disk, such as "20m"; "" means the
	// default. See LogBytes.
	LogSize string `toml:"log_size" json:"log_size,omitempty"`
	// CPUs is a limit in cores; 0 means none.
	CPUs float64 `toml:"cpus" json:"cpus,omitempty"`
	// DependsOn names components of this service that must be healthy first.
	DependsOn []string `toml:"depends_on" json:"depends_on,omitempty"`
	// StopTimeout is the time between the stop signal and the kill; 10 s by
	// default.
	StopTimeout Duration `toml:"stop_timeout" json:"stop_timeout"`
	// Drain is how long a container with routes keeps running after its
	// successor has taken them over, 1 s by default, so that a client that has
	// just resolved the old port still finds it open.
	Drain Duration `toml:"drain" json:"drain"`
	// Schedule makes the component a job, whose container runs when it is due and ends by
	// itself: a cron expression, "@daily", "@every 90m", or Manual. See ParseSchedule.
	Schedule string `toml:"schedule" json:"schedule,omitempty"`
	// Timezone is that of Schedule, "Europe/Berlin"; "" means UTC.
	Timezone string `toml:"timezone" json:"timezone,omitempty"`
	// Overlap is what becomes of a run that is due while another one is under way.
	Overlap Overlap `toml:"overlap" json:"overlap,omitempty"`
	// CatchUp is how late a run may start where something it needs was away.
	CatchUp Duration `toml:"catch_up" json:"catch_up,omitzero"`
	// Jitter delays each run by a random time of at most that much.
	Jitter Duration `toml:"jitter" json:"jitter,omitzero"`
	// Timeout bounds an attempt of a run, and Retries is how often one is repeated that
	// has failed.
	Timeout Duration `toml:"timeout" json:"timeout,omitzero"`
	Retries int      `toml:"retries" json:"retries,omitempty"`
	// Keep is how many ended runs are kept with their output.
	Keep int `toml:"keep" json:"keep,omitempty"`
	Container
	Health Health  `toml:"health" json:"health"`
	Routes []Route `toml:"routes" json:"routes,omitempty"`
}

// Order is whether an update first stops the old container or starts the new one.
type Order string

// The two orders, in Swarm's and Compose's terms.
const (
	StopFirst  Order = "stop-first"
	StartFirst Order = "start-first"
)

// Values of Component.Network that are not the name of a network.
const (
	networkHost = "host"
	networkNone = "none"
)

// NetworkRef is a network that a container is connected to.
type NetworkRef struct {
	Name string `toml:"name" json:"name"`
	// Aliases are names of the container there, in the engine's DNS.
	Aliases []string `toml:"aliases" json:"aliases,omitempty"`
}

// Networks are written as Compose has them: an array of names, or a table with a table for
// each name, which may have aliases.
type Networks []NetworkRef

// Overlap is what becomes of a run of a job that is due while the one before is still
// under way.
type Overlap string

// The values of Component.Overlap.
const (
	// OverlapSkip leaves the new run out.
	OverlapSkip Overlap = "skip"
	// OverlapQueue starts it when the other one has ended; one run waits at most.
	OverlapQueue Overlap = "queue"
	// OverlapReplace ends the other one first.
	OverlapReplace Overlap = "replace"
)

// Route is a named port of a component, for which mcp allocates a host port. Edges
// serve the routes that have a hostname, and those with Edge.
type Route struct {
	Name string `toml:"name" json:"name"`
	// Port is the port that clients connect to.
	Port int `toml:"port" json:"port"`
	// Mode is "l4" (the default) or "l7".
	Mode string `toml:"mode" json:"mode"`
	// Hostname has the names by which clients reach the route, the main one first.
	Hostname Hostnames `toml:"hostname" json:"hostname,omitempty"`
	// RedirectFrom are hostnames whose requests are redirected to the first of
	// Hostname.
	RedirectFrom []string `toml:"redirect_from" json:"redirect_from,omitempty"`
	// Path is the prefix of the paths that are served, in whole segments; "" for all.
	// Strip removes it from what the container receives.
	Path  string `toml:"path" json:"path,omitempty"`
	Strip bool   `toml:"strip" json:"strip,omitempty"`
	// TLS is false for a route that edges serve without TLS. Nil means with TLS, unless
	// the port is 80. See Plain.
	TLS *bool `toml:"tls" json:"tls,omitempty"`
	// H2C makes edges speak HTTP/2 without TLS to the container, as gRPC needs.
	H2C bool `toml:"h2c" json:"h2c,omitempty"`
	// Compress makes edges compress responses.
	Compress bool `toml:"compress" json:"compress,omitempty"`
	// BasicAuth maps the names of users to bcrypt hashes of their passwords. With none,
	// no password is asked for.
	BasicAuth map[string]string `toml:"basic_auth" json:"basic_auth,omitempty"`
	// Allow are the networks, in CIDR notation, of the clients that edges serve. With
	// none, every client is served.
	Allow []string `toml:"allow" json:"allow,omitempty"`
	// Protocol is "udp", or "" for tcp. An l7 route has none.
	Protocol string `toml:"protocol" json:"protocol,omitempty"`
	// ProxyProtocol is "v1" or "v2" where the container expects that header before the
	// bytes of a connection.
	ProxyProtocol string `toml:"proxy_protocol" json:"proxy_protocol,omitempty"`
	// Edge makes edges serve a route without a hostname.
	Edge bool `toml:"edge" json:"edge,omitempty"`
	// ContainerPort is the fixed port that the image listens on; 0 if it listens
	// on $PORT, which then equals the host port.
	ContainerPort int `toml:"container_port" json:"container_port,omitempty"`
}

// Health describes when a container counts as healthy. At most one of HTTP, TCP
// and Cmd is set. If none is, every route and tcp port must accept a connection;
// if there are none of those either, the container must still run after
// StartPeriod.
type Health struct {
	// HTTP is a path that must return one of Status on Port.
	HTTP string `toml:"http" json:"http,omitempty"`
	// Host is the Host header of these requests; "" means the hostname of the
	// route, or else the address that is probed. See Component.ProbeHost.
	Host string `toml:"host" json:"host,omitempty"`
	// Headers are further headers of these requests.
	Headers map[string]string `toml:"headers" json:"headers,omitempty"`
	// Status are the codes that count as healthy; none for 200 to 399.
	Status Statuses `toml:"status" json:"status,omitempty"`
	// TCP requires a connection to Port only.
	TCP bool `toml:"tcp" json:"tcp,omitempty"`
	// Port is what HTTP and TCP connect to: by default the first route, or else the first
	// tcp port.
	Port ProbePort `toml:"port" json:"port,omitempty"`
	// Cmd runs in the container and must exit 0.
	Cmd []string `toml:"cmd" json:"cmd,omitempty"`
	// Interval is the longest pause between two probes (10 s); the first pauses
	// are shorter.
	Interval Duration `toml:"interval" json:"interval"`
	// Timeout bounds one probe (5 s).
	Timeout Duration `toml:"timeout" json:"timeout"`
	// MinHealthy is how long the container must stay healthy before it counts as
	// such, from the first probe that succeeds (100 ms); 0 for no longer than that
	// probe. A container that ends meanwhile, or is restarted, has failed.
	MinHealthy Duration `toml:"min_healthy" json:"min_healthy"`
	// Retries is how many probes may fail after StartPeriod (3).
	Retries int `toml:"retries" json:"retries"`
	// StartPeriod is the time during which failed probes do not count: 30 s, or
	// 1 s if there is nothing to probe.
	StartPeriod Duration `toml:"start_period" json:"start_period"`
}
