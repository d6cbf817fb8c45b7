package servicedef

// Container has the settings of a component's container that its engine applies and mcp
// itself does not need. Most keys are Compose's; composekeys.Of gives its name of each. The
// zero value of each leaves the engine's default.
type Container struct {
	// Entrypoint replaces the image's entrypoint, and with it the image's command.
	Entrypoint []string `toml:"entrypoint" json:"entrypoint,omitempty"`
	// Workdir is the directory, an absolute path, in which the program starts.
	Workdir string `toml:"workdir" json:"workdir,omitempty"`
	// Hostname is the name that the container has for itself.
	Hostname string `toml:"hostname" json:"hostname,omitempty"`
	// Labels are the operator's, beside those of mcp.
	Labels map[string]string `toml:"labels" json:"labels,omitempty"`
	// EnvFile names files of variables, relative to Service.Path. ReadSources adds
	// their variables to Env and empties it.
	EnvFile Strings `toml:"env_file" json:"env_file,omitempty"`
	// Files are made by mcp and mounted read-only.
	Files []File `toml:"files" json:"files,omitempty"`
	// Tmpfs are "/path[:options]".
	Tmpfs Strings `toml:"tmpfs" json:"tmpfs,omitempty"`
	// ShmSize is the size of /dev/shm, such as "128m".
	ShmSize string `toml:"shm_size" json:"shm_size,omitempty"`
	// Ulimits are limits of the container's processes, by Linux's names in lower case:
	// "nofile".
	Ulimits map[string]Ulimit `toml:"ulimits" json:"ulimits,omitempty"`
	// Init runs the program below an init process, which reaps its orphans.
	Init bool `toml:"init" json:"init,omitempty"`
	// StopSignal replaces the image's, such as "SIGQUIT".
	StopSignal string `toml:"stop_signal" json:"stop_signal,omitempty"`
	// CapAdd and CapDrop are capabilities, with or without "CAP_", or "ALL".
	CapAdd  []string `toml:"cap_add" json:"cap_add,omitempty"`
	CapDrop []string `toml:"cap_drop" json:"cap_drop,omitempty"`
	// ReadOnly makes the container's own file system read-only.
	ReadOnly bool `toml:"read_only" json:"read_only,omitempty"`
	// SecurityOpt are "no-new-privileges", "seccomp=…", "apparmor=…", "label=…", "mask=…"
	// and "unmask=…".
	SecurityOpt []string `toml:"security_opt" json:"security_opt,omitempty"`
	// PidsLimit is the most processes and threads; -1 for no limit.
	PidsLimit int `toml:"pids_limit" json:"pids_limit,omitempty"`
	// Sysctls are settings of the kernel that belong to the container's namespaces.
	Sysctls Sysctls `toml:"sysctls" json:"sysctls,omitempty"`
	// Devices are "/dev/host[:/dev/container[:rwm]]", or names of CDI devices.
	Devices []string `toml:"devices" json:"devices,omitempty"`
	// GPUs are "all", or numbers or ids of NVIDIA's GPUs.
	GPUs Strings `toml:"gpus" json:"gpus,omitempty"`
	// GroupAdd are further groups of the program, by name or id.
	GroupAdd []string `toml:"group_add" json:"group_add,omitempty"`
	// Userns, PID and IPC choose namespaces.
	Userns string `toml:"userns" json:"userns,omitempty"`
	PID    string `toml:"pid" json:"pid,omitempty"`
	IPC    string `toml:"ipc" json:"ipc,omitempty"`
	// ExtraHosts are "name:address", further lines of /etc/hosts.
	ExtraHosts []string `toml:"extra_hosts" json:"extra_hosts,omitempty"`
	// DNS are addresses of name servers, DNSSearch domains, and DNSOpt options of
	// resolv.conf.
	DNS       Strings  `toml:"dns" json:"dns,omitempty"`
	DNSSearch Strings  `toml:"dns_search" json:"dns_search,omitempty"`
	DNSOpt    []string `toml:"dns_opt" json:"dns_opt,omitempty"`
	// LogDriver is "k8s-file", "json-file", "journald" or "none".
	LogDriver string `toml:"log_driver" json:"log_driver,omitempty"`
}
