// Package quadlet turns definitions into units for podman's systemd generator, Quadlet,
// as podman-systemd.unit(5) describes them, from podman 4.4 on. What has no key of its own
// in that version goes into PodmanArgs.
package quadlet

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/envvalue"
)

// File is a unit.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Note is something that units cannot express, or that an operator must do.
type Note struct {
	// Key is the place in the definition: "components.web.health".
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

// Export makes units from a definition: one for each component, for each volume, one for
// the network, and a timer for each job with a schedule.
func Export(s *servicedef.Service) ([]File, []Note) {
	ex := &exporting{service: s, volumes: map[string]bool{}}
	var files []File
	for _, c := range s.Components {
		files = append(files, ex.container(c))
		if !c.IsJob() {
			continue
		}
		if timer, due := ex.timer(c); due {
			files = append(files, timer)
		}
	}
	ex.steps()
	for _, name := range slices.Sorted(maps.Keys(ex.volumes)) {
		u := &unit{}
		u.section("Volume")
		u.set("VolumeName", name)
		files = append(files, File{name + ".volume", u.String()})
	}
	if ex.network {
		u := &unit{}
		u.section("Network")
		u.set("NetworkName", s.Name)
		files = append(files, File{s.Name + ".network", u.String()})
	}
	if len(s.Components) > 0 && slices.ContainsFunc(s.Components, func(c servicedef.Component) bool { return c.Node != s.Components[0].Node }) {
		ex.note("node", "the components are on several nodes: install each unit on its own, with the volumes that it names")
	}
	return files, ex.notes
}

type exporting struct {
	service *servicedef.Service
	volumes map[string]bool
	network bool // set if a component is on the network of the service
	notes   []Note
}

func (ex *exporting) note(key, format string, args ...any) {
	ex.notes = append(ex.notes, Note{key, fmt.Sprintf(format, args...)})
}

// container returns the unit of a component.
func (ex *exporting) container(c servicedef.Component) File {
	name := servicedef.ContainerNameFor(ex.service.Name, c.Name)
	u := &unit{}
	u.section("Unit")
	u.set("Description", specifiers(ex.service.Name+"/"+c.Name))
	for _, other := range c.DependsOn {
		service := servicedef.ContainerNameFor(ex.service.Name, other) + ".service"
		u.set("Requires", service)
		u.set("After", service)
	}
	u.section("Container")
	u.set("ContainerName", name)
	u.set("Image", c.Image)
	if len(c.Cmd) > 0 {
		u.set("Exec", words(c.Cmd))
	}
	if slices.Contains(c.Cmd, "") {
		ex.note(keyOf(c, "cmd"), "Quadlet leaves out arguments that are empty")
	}
	env, composed := envvalue.Plain(c.Env)
	for _, key := range slices.Sorted(maps.Keys(composed)) {
		ex.note(keyOf(c, "env."+key), "mcp puts the value together from secrets: podman secret create makes one of the whole value, and Secret=NAME,type=env,target=%s gives it to the program", key)
	}
	ex.ports(u, c, &env)
	for _, key := range slices.Sorted(maps.Keys(env)) {
		u.set("Environment", word(key+"="+env[key]))
	}
	ex.mounts(u, c)
	ex.networks(u, c)
	ex.privileges(u, c)
	ex.arguments(u, c)
	ex.health(u, c)
	u.section("Service")
	start := "900"
	if c.IsJob() {
		u.set("Type", "oneshot")
		start = seconds(c.Timeout)
	}
	u.set("Restart", restart(c.Restart))
	u.set("TimeoutStartSec", start)
	u.set("TimeoutStopSec", seconds(c.StopTimeout+servicedef.Duration(10*time.Second)))
	if ex.starts(c) {
		u.section("Install")
		u.set("WantedBy", "default.target")
	}
	ex.rest(c)
	return File{name + ".container", u.String()}
}

// ports publishes static ports. Those of routes have no host port without mcp.
func (ex *exporting) ports(u *unit, c servicedef.Component, env *map[string]string) {
	if c.Network != "host" && c.Network != "none" {
		for _, port := range c.Ports {
			u.set("PublishPort", port)
		}
	}
	for i, r := range c.Routes {
		port := r.ContainerPort
		if port == 0 {
			port = firstPort + i
			if *env == nil {
				*env = map[string]string{}
			}
			(*env)[servicedef.PortEnv(r.Name)] = strconv.Itoa(port)
			if len(c.Routes) == 1 {
				(*env)["PORT"] = strconv.Itoa(port)
			}
		}
		place := cmp.Or(r.Hostname.First(), "no hostname")
		ex.note(keyOf(c, "routes"), "%s, port %d, %s: give a proxy port %d of the container, or publish it", r.Name, r.Port, place, port)
	}
}

// firstPort is the port of the first program that takes its port from the environment.
const firstPort = 8080

func (ex *exporting) mounts(u *unit, c servicedef.Component) {
	for _, text := range c.Volumes {
		source, rest, _ := strings.Cut(text, ":")
		if !path.IsAbs(source) {
			ex.volumes[source] = true
			source += ".volume"
		}
		u.set("Volume", specifiers(source+":"+rest))
	}
	for _, text := range c.Tmpfs {
		u.argument("--tmpfs", text)
	}
	for _, secret := range c.Secrets {
		options := secret.Source + ",type=mount,target=" + secret.Path()
		for key, id := range map[string]int{"uid": secret.UID, "gid": secret.GID} {
			if id != 0 {
				options += fmt.Sprintf(",%s=%d", key, id)
			}
		}
		if secret.Mode != "" {
			options += ",mode=" + secret.Mode
		}
		u.argument("--secret", options)
	}
	for _, variable := range slices.Sorted(maps.Keys(c.SecretEnv)) {
		u.argument("--secret", c.SecretEnv[variable]+",type=env,target="+variable)
	}
	for _, f := range c.Files {
		ex.note(keyOf(c, "files"), "put %s on the host, and add Volume=PATH:%s:ro", cmp.Or(f.Source, "its content"), f.Target)
	}
	for _, file := range slices.Concat(ex.service.EnvFile, c.EnvFile) {
		ex.note(keyOf(c, "env_file"), "put %s on the host, and add EnvironmentFile=PATH", file)
	}
}

func (ex *exporting) networks(u *unit, c servicedef.Component) {
	switch c.Network {
	case "":
		ex.network = true
		u.set("Network", ex.service.Name+".network")
		u.argument("--network-alias", c.Name)
	case "bridge":
	default:
		u.set("Network", c.Network)
	}
	for flag, values := range map[string][]string{"--add-host": c.ExtraHosts, "--dns": c.DNS, "--dns-search": c.DNSSearch, "--dns-option": c.DNSOpt} {
		for _, value := range values {
			u.argument(flag, value)
		}
	}
}

func (ex *exporting) privileges(u *unit, c servicedef.Component) {
	for _, capability := range c.CapAdd {
		u.set("AddCapability", capability)
	}
	for _, capability := range c.CapDrop {
		u.set("DropCapability", capability)
	}
	for _, device := range c.Devices {
		u.set("AddDevice", specifiers(device))
	}
	if c.ReadOnly {
		u.set("ReadOnly", "true")
	}
	if c.Init {
		u.set("RunInit", "true")
	}
	for _, option := range c.SecurityOpt {
		if option == "no-new-privileges" {
			u.set("NoNewPrivileges", "true")
		} else {
			u.argument("--security-opt", option)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		u.set("Label", word(key+"="+c.Labels[key]))
	}
}

// arguments sets what podman 4.4 has only as flags.
func (ex *exporting) arguments(u *unit, c servicedef.Component) {
	for _, pair := range [][2]string{
		{"--user", c.User}, {"--workdir", c.Workdir}, {"--hostname", c.Hostname}, {"--memory", c.Memory}, {"--shm-size", c.ShmSize},
		{"--stop-signal", c.StopSignal}, {"--userns", c.Userns}, {"--pid", c.PID}, {"--ipc", c.IPC}, {"--log-driver", c.LogDriver},
	} {
		if pair[1] != "" {
			u.argument(pair[0], pair[1])
		}
	}
	if c.CPUs != 0 {
		u.argument("--cpus", strconv.FormatFloat(c.CPUs, 'f', -1, 64))
	}
	if c.PidsLimit != 0 {
		u.argument("--pids-limit", strconv.Itoa(c.PidsLimit))
	}
	if c.LogSize != "" {
		u.argument("--log-opt", "max-size="+c.LogSize)
	}
	u.argument("--stop-timeout", seconds(c.StopTimeout))
	for _, name := range slices.Sorted(maps.Keys(c.Sysctls)) {
		u.argument("--sysctl", name+"="+c.Sysctls[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Ulimits)) {
		text, _ := c.Ulimits[name].MarshalText() // it never fails
		u.argument("--ulimit", name+"="+strings.ReplaceAll(string(text), "unlimited", "-1"))
	}
	for _, group := range c.GroupAdd {
		u.argument("--group-add", group)
	}
	for _, gpu := range c.GPUs {
		u.argument("--device", "nvidia.com/gpu="+gpu)
	}
	if len(c.Entrypoint) > 0 {
		u.argument("--entrypoint", jsonOf(c.Entrypoint))
	}
}

func (ex *exporting) health(u *unit, c servicedef.Component) {
	h := c.Health
	if len(h.Cmd) == 0 {
		if h.HTTP != "" || h.TCP {
			ex.note(keyOf(c, "health"), "podman runs checks inside of the container only: it has none here")
		}
		return
	}
	u.argument("--health-cmd", jsonOf(append([]string{"CMD"}, h.Cmd...)))
	u.argument("--health-interval", time.Duration(h.Interval).String())
	u.argument("--health-timeout", time.Duration(h.Timeout).String())
	u.argument("--health-retries", strconv.Itoa(h.Retries))
	u.argument("--health-start-period", time.Duration(h.StartPeriod).String())
}

// rest notes what has no place in a unit.
func (ex *exporting) rest(c servicedef.Component) {
	if _, built := ex.service.Build.Images[servicedef.ImageName(c.Image)]; built {
		ex.note(keyOf(c, "image"), "Quadlet before podman 5.2 builds nothing: %s must be in its image registry", c.Image)
	}
	if strings.Contains(c.Image, servicedef.GitTag) {
		ex.note(keyOf(c, "image"), "%s is the hash of the sources: write the tag that runs, which mcp status %s shows", servicedef.GitTag, ex.service.Name)
	}
	if len(c.SecretNames()) > 0 {
		ex.note(keyOf(c, "secrets"), "podman must have %s: podman secret create NAME FILE", strings.Join(c.SecretNames(), ", "))
	}
	if c.IsJob() {
		ex.job(c)
	}
	if order := servicedef.StartFirst; c.Order == order && !c.IsJob() {
		ex.note(keyOf(c, "order"), "systemd stops the old container before it starts the new one")
	}
}

// starts reports whether systemd starts the component at boot.
func (ex *exporting) starts(c servicedef.Component) bool {
	return ex.service.Active && !c.IsJob()
}

func keyOf(c servicedef.Component, key string) string { return "components." + c.Name + "." + key }

// restart returns systemd's word for a policy of podman.
func restart(policy string) string {
	switch {
	case policy == "no":
		return "no"
	case strings.HasPrefix(policy, "on-failure"):
		return "on-failure"
	}
	return "always"
}

func seconds(d servicedef.Duration) string {
	return strconv.Itoa(int((time.Duration(d) + time.Second - 1) / time.Second))
}
