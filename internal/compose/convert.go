package compose

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-shellwords"

	"github.com/metacircular/mcp/internal/compose/source"
	"github.com/metacircular/mcp/servicedef/envvalue"
)

// convert takes over what the service has.
func (c *component) convert() {
	c.image()
	c.program("entrypoint", "entrypoint")
	c.program("command", "cmd")
	c.environment()
	c.settings()
	c.limits()
	c.logging()
	c.deploy()
	c.dependencies()
	c.health()
	c.ports()
	c.networks()
	c.volumes()
	c.secrets()
	c.configs()
	for _, quiet := range []string{"expose", "attach", "profiles"} { // which say nothing that mcp needs
		c.node.Get(quiet).Take()
	}
}

// program takes over a command, which is a list, or a text with the quotes of a shell.
func (c *component) program(key, to string) {
	n := c.node.Get(key)
	if n.Empty() {
		n.Take()
		return
	}
	words := texts(n)
	if n.Kind == source.Scalar {
		var err error
		parser := shellwords.NewParser()
		if words, err = parser.Parse(n.Text); err != nil {
			c.note(n, key, "is not taken over: %q is no command: %v", n.Text, err)
			return
		}
		if parser.Position >= 0 { // of a character that ends a command of a shell
			c.im.note(n, c.key+"."+key, "is taken over as %q: what follows in it is for a shell, which neither Compose nor podman starts; write [\"/bin/sh\", \"-c\", …]", words)
		}
	}
	if len(words) > 0 {
		c.set(to, words, n, key)
	} else {
		c.note(n, key, "is not taken over: an empty command is the image's own")
	}
}

// confidential matches names of variables whose values are secrets.
var confidential = regexp.MustCompile(`(?i)(password|passwd|passphrase|secret|token|api_?key|private_?key)$`)

func (c *component) environment() {
	env := c.node.Get("environment")
	for _, name := range keysOf(env) {
		value, at := env.Get(name), "environment."+name
		text := value.Text
		if value.Empty() {
			var set bool
			if text, set = c.im.project.Lookup(name); !set {
				c.note(value, at, "is not taken over: Compose takes its value from the environment, which does not have it")
				continue
			}
		}
		c.put("env", name, envvalue.Escape(text), value, at)
		if confidential.MatchString(name) && text != "" {
			secret := name
			if len(value.Variables) == 1 {
				secret = value.Variables[0] // which other services may use under another name
			}
			c.im.note(value, c.key+"."+at, "its value is in the definition in clear: secret_env = { %s = %q } names a secret instead", name, c.im.name+"-"+label(secret))
		}
	}
	env.Take()
	files := c.node.Get("env_file")
	for i, item := range itemsOf(files) {
		path, at := item, "env_file["+strconv.Itoa(i)+"]"
		if item.Kind == source.Map {
			path = item.Get("path")
			item.Get("format").Take()
			item.Get("required").Take()
		}
		if given := item.Get("required"); !given.Empty() && !truth(given) && !path.Empty() {
			if _, err := os.Stat(c.im.project.Path(path, text(path))); err != nil {
				c.note(item, at, "is not taken over: the file is not required, and is not there")
				continue
			}
			c.note(given, at+".required", "is not taken over: the file must be there whenever the service is deployed")
		}
		if path.Empty() {
			c.note(item, at, "is not taken over: it names no file")
			continue
		}
		if local, ok := c.im.local(c.im.project.Path(path, text(path))); ok {
			c.im.sources = item
			c.add("env_file", local, path, at)
		} else {
			c.note(item, at, "is not taken over: the file is outside of the project")
		}
	}
	c.labels()
}

func (c *component) labels() {
	labels := c.node.Get("labels")
	proxied := false
	for _, name := range keysOf(labels) {
		if strings.HasPrefix(name, "traefik.") || strings.HasPrefix(name, "caddy") {
			proxied = true
			labels.Get(name).Take()
			continue
		}
		c.put("labels", name, text(labels.Get(name)), labels.Get(name), "labels."+name)
	}
	if proxied {
		c.note(labels, "labels", "those for a proxy are not taken over: write a route with hostname, mode = \"l7\" and the container_port")
	}
	labels.Take()
}

// settings takes over keys that differ from mcp's by their names alone.
func (c *component) settings() {
	for _, pair := range [][2]string{
		{"user", "user"}, {"working_dir", "workdir"}, {"hostname", "hostname"}, {"stop_signal", "stop_signal"},
		{"shm_size", "shm_size"}, {"pid", "pid"}, {"ipc", "ipc"}, {"userns_mode", "userns"}, {"runtime", "runtime"},
	} {
		if n := c.node.Get(pair[0]); !n.Empty() && n.Kind == source.Scalar {
			c.set(pair[1], n.Text, n, pair[0])
		}
	}
	for _, key := range []string{"init", "read_only", "privileged"} {
		if n := c.node.Get(key); !n.Empty() && truth(n) {
			c.set(key, true, n, key)
		} else {
			n.Take()
		}
	}
	for _, key := range []string{"cap_add", "cap_drop", "security_opt", "group_add", "dns", "dns_search", "dns_opt", "tmpfs"} {
		for i, item := range itemsOf(c.node.Get(key)) {
			value := item.Text
			if key == "security_opt" {
				value = securityOption(value)
			}
			c.add(key, value, item, key+"["+strconv.Itoa(i)+"]")
		}
	}
	for _, name := range keysOf(c.node.Get("sysctls")) {
		c.put("sysctls", name, text(c.node.Get("sysctls").Get(name)), c.node.Get("sysctls").Get(name), "sysctls."+name)
	}
	for _, name := range keysOf(c.node.Get("ulimits")) {
		limit := c.node.Get("ulimits").Get(name)
		value := wholeOr(limit)
		if limit.Kind == source.Map {
			value = text(limit.Get("soft")) + ":" + text(limit.Get("hard"))
		}
		c.put("ulimits", name, value, limit, "ulimits."+name)
	}
	c.devices()
	c.hosts()
	if n := c.node.Get("stop_grace_period"); !n.Empty() {
		c.duration("stop_timeout", n, "stop_grace_period")
	}
	switch n := c.node.Get("restart"); {
	case n.Empty():
	case n.Text == "false":
		c.set("restart", "no", n, "restart")
	default:
		c.set("restart", n.Text, n, "restart")
	}
}

// securityOption returns an option with "=", which Docker also takes with ":".
func securityOption(text string) string {
	if text == "no-new-privileges:true" || text == "no-new-privileges=true" {
		return "no-new-privileges"
	}
	if name, value, ok := strings.Cut(text, ":"); ok && !strings.Contains(name, "=") {
		return name + "=" + value
	}
	return text
}

func (c *component) devices() {
	for i, item := range itemsOf(c.node.Get("devices")) {
		value := item.Text
		if item.Kind == source.Map {
			value = strings.TrimRight(text(item.Get("source"))+":"+text(item.Get("target"))+":"+text(item.Get("permissions")), ":")
		}
		c.add("devices", value, item, "devices["+strconv.Itoa(i)+"]")
	}
	gpus := c.node.Get("gpus")
	if !gpus.Empty() && gpus.Kind == source.Scalar {
		c.add("gpus", gpus.Text, gpus, "gpus")
	}
	for i, item := range itemsOf(gpus) {
		c.gpu(item, "gpus["+strconv.Itoa(i)+"]")
	}
}

// gpu takes over devices of NVIDIA: all of them, or some by their ids.
func (c *component) gpu(item *source.Node, at string) {
	ids := texts(item.Get("device_ids"))
	if count := text(item.Get("count")); len(ids) == 0 && (count == "" || count == "all" || count == "-1") {
		ids = []string{"all"}
	}
	for _, id := range ids {
		c.add("gpus", id, item, at)
	}
	if len(ids) == 0 {
		c.note(item, at, "is not taken over: name the GPUs by their ids, or all")
	}
}

// hosts takes over "name:address", "name=address" or a map.
func (c *component) hosts() {
	hosts := c.node.Get("extra_hosts")
	for i, item := range itemsOf(hosts) {
		name, address, ok := strings.Cut(item.Text, "=")
		if !ok {
			name, address, _ = strings.Cut(item.Text, ":")
		}
		c.add("extra_hosts", name+":"+strings.Trim(address, "[]"), item, "extra_hosts["+strconv.Itoa(i)+"]")
	}
	for _, name := range keysOf(hosts) {
		for _, address := range append(texts(hosts.Get(name)), scalarOf(hosts.Get(name))...) {
			c.add("extra_hosts", name+":"+address, hosts.Get(name), "extra_hosts."+name)
		}
	}
}

func (c *component) limits() {
	if n := c.node.Get("mem_limit"); !n.Empty() {
		c.set("memory", n.Text, n, "mem_limit")
	}
	if n := c.node.Get("cpus"); !n.Empty() {
		c.number("cpus", n, "cpus")
	}
	if n := c.node.Get("pids_limit"); !n.Empty() {
		c.set("pids_limit", wholeOr(n), n, "pids_limit")
	}
}

func (c *component) number(key string, n *source.Node, at string) {
	value, err := strconv.ParseFloat(n.Text, 64)
	if err != nil {
		c.note(n, at, "is not taken over: %q is no number", n.Text)
	} else if n.Take(); value != 0 {
		c.set(key, value, n, at)
	}
}

// duration takes over a time, which Compose also writes with days and weeks.
func (c *component) duration(key string, n *source.Node, at string) {
	if _, err := time.ParseDuration(n.Text); err == nil {
		c.set(key, n.Text, n, at)
	} else if seconds, err := strconv.Atoi(n.Text); err == nil {
		c.set(key, (time.Duration(seconds) * time.Second).String(), n, at)
	} else {
		c.note(n, at, "is not taken over: %q is no duration such as 1m30s", n.Text)
	}
}

func (c *component) logging() {
	logging := c.node.Get("logging").Enter()
	if driver := logging.Get("driver"); !driver.Empty() {
		switch driver.Text {
		case "json-file", "local": // mcp's own driver does what they do
			driver.Take()
		default:
			c.set("log_driver", driver.Text, driver, "logging.driver")
		}
	}
	options := logging.Get("options").Enter()
	if size := options.Get("max-size"); !size.Empty() {
		c.set("log_size", strings.ToLower(size.Text), size, "logging.options.max-size")
	}
}

func (c *component) deploy() {
	deploy := c.node.Get("deploy").Enter()
	limits := deploy.Get("resources").Enter().Get("limits")
	if n := limits.Get("memory"); !n.Empty() {
		c.set("memory", n.Text, n, "deploy.resources.limits.memory")
	}
	if n := limits.Get("cpus"); !n.Empty() {
		c.number("cpus", n, "deploy.resources.limits.cpus")
	}
	if n := limits.Get("pids"); !n.Empty() {
		c.set("pids_limit", wholeOr(n), n, "deploy.resources.limits.pids")
	}
	for i, item := range itemsOf(deploy.Get("resources").Get("reservations").Get("devices")) {
		if slices.Contains(texts(item.Get("capabilities")), "gpu") {
			c.gpu(item, "deploy.resources.reservations.devices["+strconv.Itoa(i)+"]")
		}
	}
	for _, one := range []*source.Node{deploy.Get("replicas"), c.node.Get("scale")} {
		if text(one) == "1" {
			one.Take()
		}
	}
	if mode := deploy.Get("mode"); text(mode) == "replicated" {
		mode.Take()
	}
	deploy.Get("endpoint_mode").Take()
	if order := deploy.Get("update_config").Get("order"); !order.Empty() {
		c.set("order", order.Text, order, "deploy.update_config.order")
	}
	c.restartPolicy(deploy.Get("restart_policy"))
}

func (c *component) restartPolicy(policy *source.Node) {
	condition, attempts := policy.Get("condition"), policy.Get("max_attempts")
	at := "deploy.restart_policy.condition"
	switch text(condition) {
	case "none":
		c.set("restart", "no", condition, at)
	case "any":
		c.set("restart", "always", condition, at)
	case "on-failure":
		value := "on-failure"
		if !attempts.Empty() {
			value += ":" + attempts.Take().Text
		}
		c.set("restart", value, condition, at)
	}
}

// truth reports whether a text means yes.
func truth(n *source.Node) bool {
	return slices.Contains([]string{"true", "yes", "on", "y", "1"}, strings.ToLower(text(n)))
}

// wholeOr returns a whole number, or the text if it is none.
func wholeOr(n *source.Node) any {
	if value, err := strconv.ParseInt(text(n), 0, 64); err == nil {
		return value
	}
	return text(n)
}

func text(n *source.Node) string {
	if n == nil {
		return ""
	}
	return n.Text
}

func itemsOf(n *source.Node) []*source.Node {
	if n == nil {
		return nil
	}
	return n.Items
}

func texts(n *source.Node) []string {
	var list []string
	for _, item := range itemsOf(n) {
		list = append(list, item.Text)
	}
	return list
}

// scalarOf returns the text of a scalar as a list.
func scalarOf(n *source.Node) []string {
	if n == nil || n.Kind != source.Scalar {
		return nil
	}
	return []string{n.Text}
}
