package compose

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/envvalue"
)

// Exported is a Compose file made from a definition.
type Exported struct {
	Text  string
	Notes []Note
}

// Export makes a Compose file from a definition. What Compose cannot express is in the
// extension x-mcp, and Import makes the same definition from the file.
func Export(s *servicedef.Service) (*Exported, error) {
	// The full table has every value, and the short one those that are not defaults.
	full, short, err := tablesOf(s)
	if err != nil {
		return nil, err
	}
	ex := &exporting{service: s, volumes: &mapping{}, networks: &mapping{}, secrets: &mapping{}, configs: &mapping{}}
	services := &mapping{}
	for i, c := range s.Components {
		one := &exported{ex: ex, component: c, full: componentTable(full, i), left: componentTable(short, i), out: &mapping{}}
		one.export()
		services.set(c.Name, one.out)
	}
	root := &mapping{}
	root.set("name", s.Name)
	root.set("services", services)
	for _, section := range []struct {
		name string
		m    *mapping
	}{{"volumes", ex.volumes}, {"networks", ex.networks}, {"secrets", ex.secrets}, {"configs", ex.configs}} {
		if len(section.m.keys) > 0 {
			root.set(section.name, section.m)
		}
	}
	root.set(Extension, ex.rest(short))
	text, err := yaml.Marshal(root.node())
	if err != nil {
		return nil, fmt.Errorf("write the Compose file: %w", err)
	}
	return &Exported{opening(s) + string(text), ex.notes}, nil
}

// opening is the comment that begins the file: it names what Compose does not run.
func opening(s *servicedef.Service) string {
	text := "# Made of the service " + s.Name + " by mcp service export.\n"
	for _, c := range s.Jobs() {
		text += fmt.Sprintf("# Compose does not start the job %s, whose schedule is %q: docker compose run --rm %[1]s runs it.\n", c.Name, c.Schedule)
	}
	for _, step := range s.Steps {
		text += fmt.Sprintf("# Compose does not run the step %s, which is due %s each deployment.\n", step.Name, step.When)
	}
	return text
}

// exporting is one export.
type exporting struct {
	service                             *servicedef.Service
	volumes, networks, secrets, configs *mapping
	notes                               []Note
}

func (ex *exporting) note(key, format string, args ...any) {
	ex.notes = append(ex.notes, Note{Key: key, Message: fmt.Sprintf(format, args...)})
}

// rest returns the keys of the service that Compose cannot express.
func (ex *exporting) rest(short map[string]any) *mapping {
	m := &mapping{}
	for _, key := range slices.Sorted(maps.Keys(short)) {
		switch key {
		case "name", "components", "build":
			continue
		case "steps":
			ex.note(key, "Compose runs no steps: they stand in %s", Extension)
		}
		m.set(key, escaped(short[key]))
	}
	return m
}

// exported is a component as a service of Compose.
type exported struct {
	ex        *exporting
	component servicedef.Component
	// full has every value, and left those that nothing has taken over yet.
	full, left map[string]any
	out        *mapping
}

func (e *exported) export() {
	c := e.component
	e.out.set("image", strings.ReplaceAll(c.Image, servicedef.GitTag, "git"))
	delete(e.left, "name")
	if !strings.Contains(c.Image, servicedef.GitTag) {
		delete(e.left, "image")
	}
	e.build()
	for _, pair := range [][2]string{
		{"entrypoint", "entrypoint"}, {"cmd", "command"}, {"workdir", "working_dir"}, {"user", "user"}, {"hostname", "hostname"},
		{"labels", "labels"}, {"tmpfs", "tmpfs"}, {"ports", "ports"}, {"memory", "mem_limit"}, {"cpus", "cpus"},
		{"pids_limit", "pids_limit"}, {"shm_size", "shm_size"}, {"init", "init"}, {"stop_signal", "stop_signal"},
		{"cap_add", "cap_add"}, {"cap_drop", "cap_drop"}, {"read_only", "read_only"}, {"security_opt", "security_opt"},
		{"sysctls", "sysctls"}, {"devices", "devices"}, {"group_add", "group_add"}, {"userns", "userns_mode"}, {"pid", "pid"}, {"ipc", "ipc"},
		{"extra_hosts", "extra_hosts"}, {"dns", "dns"}, {"dns_search", "dns_search"}, {"dns_opt", "dns_opt"},
	} {
		if value, given := e.full[pair[0]]; given && !empty(value) {
			e.out.set(pair[1], escaped(value))
			delete(e.left, pair[0])
		}
	}
	e.environment()
	e.out.set("restart", c.Restart)
	delete(e.left, "restart")
	if _, given := e.left["stop_timeout"]; given {
		e.out.set("stop_grace_period", e.full["stop_timeout"])
		delete(e.left, "stop_timeout")
	}
	if order, given := e.left["order"]; given {
		e.out.set("deploy", inner("update_config", inner("order", order)))
		delete(e.left, "order")
	}
	e.ulimits()
	e.gpus()
	e.logging()
	e.envFiles()
	e.mountVolumes()
	e.mountSecrets()
	e.mountFiles()
	e.network()
	e.dependencies()
	e.health()
	e.routes()
	e.remains()
}

// environment sets the variables. Those with secrets in their values are left to the
// extension.
func (e *exported) environment() {
	delete(e.left, "env")
	plain, composed := envvalue.Plain(e.component.Env)
	if len(plain) > 0 {
		env := map[string]any{}
		for name, value := range plain {
			env[name] = value
		}
		e.out.set("environment", escaped(env))
	}
	if len(composed) > 0 {
		left := map[string]any{}
		for name := range composed {
			left[name] = e.component.Env[name]
		}
		e.left["env"] = left
	}
}

// remains puts what is left into the extension.
func (e *exported) remains() {
	maps.DeleteFunc(e.left, func(_ string, value any) bool {
		t, isTable := value.(map[string]any)
		return isTable && len(t) == 0
	})
	if len(e.left) == 0 {
		return
	}
	if _, job := e.left["schedule"]; job {
		e.out.set("profiles", []any{"jobs"})
	}
	m := &mapping{}
	for _, key := range slices.Sorted(maps.Keys(e.left)) {
		m.set(key, escaped(e.left[key]))
		if key != "health" && key != "routes" && key != "env_file" {
			e.note(key, "%s", cmp.Or(unsaid[key], "Compose has no such key: it stands in "+Extension))
		}
	}
	e.out.set(Extension, m)
}

// unsaid are notes on keys that Compose cannot express.
var unsaid = map[string]string{
	"image":      "the tag " + servicedef.GitTag + " is the hash of the sources, which Compose does not compute: it builds the tag git",
	"env":        "Compose has no secrets in values: these variables stand in " + Extension + ", write them for Compose yourself",
	"secret_env": "Compose has secrets as files only: give the program the file, or set the variable",
	"node":       "Compose runs everything on one host",
	"drain":      "Compose does not drain",
	"schedule":   "Compose runs no jobs: it is not started unless its profile is on",
}

func (e *exported) note(key, format string, args ...any) {
	e.ex.note("components."+e.component.Name+"."+key, format, args...)
}

func (e *exported) build() {
	b, built := buildOf(e.ex.service, e.component.Image)
	if !built {
		return
	}
	m := &mapping{}
	context := "."
	if below := textOf(b["context"]); below != "" && below != "." {
		context = "./" + path.Clean(below)
	}
	m.set("context", context)
	if file := textOf(b["containerfile"]); file != "" {
		m.set("dockerfile", file)
	}
	for _, pair := range [][2]string{{"args", "args"}, {"target", "target"}, {"platforms", "platforms"}, {"contexts", "additional_contexts"}, {"cache_from", "cache_from"}, {"cache_to", "cache_to"}, {"labels", "labels"}, {"no_cache", "no_cache"}, {"ssh", "ssh"}} {
		if value, given := b[pair[0]]; given {
			m.set(pair[1], escaped(value))
		}
	}
	secrets, _ := b["secrets"].(map[string]any)
	var names []any
	for _, id := range slices.Sorted(maps.Keys(secrets)) {
		one, _ := secrets[id].(map[string]any)
		if name, own := one["secret"]; own {
			declared := inner("environment", strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(fmt.Sprint(name))))
			declared.set(Extension, inner("secret", name))
			e.ex.secrets.set(id, declared)
			names = append(names, id)
			e.note("build.secrets", "the value of %s is not in the file: set the variable %s for the engine that builds", name, declared.values["environment"])
			continue
		}
		declared := &mapping{}
		for _, key := range slices.Sorted(maps.Keys(one)) {
			declared.set(key, escaped(one[key]))
		}
		e.ex.secrets.set(id, declared)
		names = append(names, id)
	}
	if names != nil {
		m.set("secrets", names)
	}
	e.out.set("build", m)
}

func (e *exported) ulimits() {
	limits, _ := e.full["ulimits"].(map[string]any)
	if len(limits) == 0 {
		return
	}
	m := &mapping{}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		soft, hard, both := strings.Cut(fmt.Sprint(limits[name]), ":")
		if !both {
			hard = soft
		}
		limit := &mapping{}
		limit.set("soft", limitOf(soft))
		limit.set("hard", limitOf(hard))
		m.set(name, limit)
	}
	e.out.set("ulimits", m)
	delete(e.left, "ulimits")
}

func (e *exported) gpus() {
	list, _ := e.full["gpus"].([]any)
	if len(list) == 0 {
		return
	}
	if delete(e.left, "gpus"); len(list) == 1 && list[0] == "all" {
		e.out.set("gpus", "all")
		return
	}
	devices := &mapping{}
	devices.set("driver", "nvidia")
	devices.set("device_ids", list)
	e.out.set("gpus", []any{devices})
}

func (e *exported) logging() {
	m := &mapping{}
	if driver, given := e.left["log_driver"]; given {
		m.set("driver", driver)
		delete(e.left, "log_driver")
	}
	if size, given := e.left["log_size"]; given {
		m.set("options", inner("max-size", size))
		delete(e.left, "log_size")
	}
	if len(m.keys) > 0 {
		e.out.set("logging", m)
	}
}

func (e *exported) envFiles() {
	files := append(list(servicedefFiles(e.ex.service)), list(e.full["env_file"])...)
	for i, file := range files {
		files[i] = "./" + fmt.Sprint(file)
	}
	if len(files) == 0 {
		return
	}
	e.out.set("env_file", escaped(files))
	if own := list(e.full["env_file"]); len(e.ex.service.EnvFile) == 0 {
		delete(e.left, "env_file")
	} else {
		e.left["env_file"] = own // those of the service are in the extension
	}
}

// servicedefFiles are the files of variables that all components share.
func servicedefFiles(s *servicedef.Service) any {
	shared := []any{}
	for _, file := range s.EnvFile {
		shared = append(shared, file)
	}
	return shared
}

// tablesOf returns a definition as a table, with its defaults and without.
func tablesOf(s *servicedef.Service) (full, short map[string]any, err error) {
	text := s.TOML()
	if _, err := toml.Decode(text, &full); err != nil {
		return nil, nil, fmt.Errorf("read the definition: %w", err)
	}
	short = map[string]any{}
	if _, err := toml.Decode(text, &short); err != nil {
		return nil, nil, fmt.Errorf("read the definition: %w", err)
	}
	shorten(s, short)
	return full, short, nil
}
