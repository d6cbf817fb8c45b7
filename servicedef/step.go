package servicedef

// Step is a program that a deployment runs to its end, once.
type Step struct {
	Name string `toml:"name" json:"name"`
	// When is StepBefore, the default, or StepAfter.
	When When `toml:"when" json:"when"`
	// Component names the component whose container the step's is like: it has the same
	// image, environment, secrets, volumes, network and user, and no routes and ports.
	// The keys below replace or add to these. See Service.StepComponent.
	Component string `toml:"component" json:"component,omitempty"`
	Image     string `toml:"image" json:"image,omitempty"`
	// Node is the component's, or else the service's, where it is empty.
	Node string `toml:"node" json:"node,omitempty"`
	// Cmd is the command. With Component it is required.
	Cmd       []string          `toml:"cmd" json:"cmd,omitempty"`
	Env       map[string]string `toml:"env" json:"env,omitempty"`
	Secrets   []Secret          `toml:"secrets" json:"secrets,omitempty"`
	SecretEnv map[string]string `toml:"secret_env" json:"secret_env,omitempty"`
	// Versions are those of all secrets of StepComponent that are the service's own.
	Versions SecretVersions `toml:"-" json:"secret_versions,omitempty"`
	Volumes  []string       `toml:"volumes" json:"volumes,omitempty"`
	User     string         `toml:"user" json:"user,omitempty"`
	Network  string         `toml:"network" json:"network,omitempty"`
	Memory   string         `toml:"memory" json:"memory,omitempty"`
	CPUs     float64        `toml:"cpus" json:"cpus,omitempty"`
	// DependsOn names components that are started and healthy before the step runs. All
	// others start after a step that runs before the start.
	DependsOn []string `toml:"depends_on" json:"depends_on,omitempty"`
	// Timeout is how long it may run; 30 m by default.
	Timeout Duration `toml:"timeout" json:"timeout"`
	// StopTimeout is the time between the stop signal and the kill; 10 s by default.
	StopTimeout Duration `toml:"stop_timeout" json:"stop_timeout"`
	// Retries is how often it is run again after it has failed, has taken too long, or
	// was lost with its node.
	Retries int `toml:"retries" json:"retries,omitempty"`
	// Rollback makes rollbacks run it, too.
	Rollback bool `toml:"rollback" json:"rollback,omitempty"`
}

// When is when a deployment runs a step.
type When string

const (
	// StepBefore is before the new containers start, except those that the step depends
	// on.
	StepBefore When = "before"
	// StepAfter is once all new containers are healthy and have their names, before the
	// deployment is the release.
	StepAfter When = "after"
)
