// Package composekeys relates the keys of a definition to those of a Compose file.
package composekeys

import (
	"strings"
)

// composeKeys maps the keys of a component, and of its tables, that have other names in
// Compose to those names; "" for a key that only mcp has.
var composeKeys = map[string]string{
	"service.name": "name", "service.node": "", "service.active": "", "service.reconcile": "", "service.path": "build.context",
	"service.env": "", "service.env_file": "",
	"build.images.containerfile": "build.dockerfile", "build.images.context": "build.context", "build.images.args": "build.args",
	"build.images.target": "build.target", "build.images.secrets": "build.secrets", "build.images.ssh": "build.ssh",
	"build.images.platforms": "build.platforms", "build.images.contexts": "build.additional_contexts",
	"build.images.cache_from": "build.cache_from", "build.images.cache_to": "build.cache_to",
	"build.images.labels": "build.labels", "build.images.no_cache": "build.no_cache",
	"build.images.secrets.secret": "", "build.images.secrets.file": "secrets.file", "build.images.secrets.environment": "secrets.environment",
	"build.images": "build.dockerfile",

	"name": "services", "node": "", "drain": "",
	"cmd": "command", "env": "environment", "memory": "mem_limit", "secret_env": "", "order": "deploy.update_config.order",
	"log_driver": "logging.driver", "log_size": "logging.options.max-size", "stop_timeout": "stop_grace_period",
	"userns": "userns_mode", "workdir": "working_dir",
	"schedule": "", "timezone": "", "overlap": "", "catch_up": "", "jitter": "", "timeout": "", "retries": "", "keep": "",

	"files.target": "configs.target", "files.source": "configs.file", "files.content": "configs.content", "files.base64": "",
	"files.mode": "configs.mode", "files.uid": "configs.uid", "files.gid": "configs.gid",

	"health.cmd": "healthcheck.test", "health.interval": "healthcheck.interval", "health.timeout": "healthcheck.timeout",
	"health.retries": "healthcheck.retries", "health.start_period": "healthcheck.start_period",
	"health.http": "", "health.host": "", "health.headers": "", "health.status": "", "health.tcp": "", "health.port": "", "health.min_healthy": "",
}

// ownTables are tables whose keys Compose does not have.
var ownTables = []string{"routes.", "steps."}

// Of returns the name that Compose has for a key of a component or, after
// "service.", of a service: "working_dir" for "workdir"; "" if Compose has no such key.
func Of(key string) string {
	if name, differs := composeKeys[key]; differs {
		return name
	}
	for _, table := range ownTables {
		if strings.HasPrefix(key, table) {
			return ""
		}
	}
	return strings.TrimPrefix(key, "service.")
}

// Ours returns the key of mcp, one of known, for a name of Compose; "" if there is none.
func Ours(name string, known []string) string {
	for _, key := range known {
		if composeKeys[key] == name && name != "" {
			return key
		}
	}
	return ""
}

// instead maps keys that Compose has, and a component does not, to what to do in their
// place.
var instead = map[string]string{
	"container_name": "mcp names containers by their service and component",
	"privileged":     "give the capabilities and devices that the program needs",
	"links":          "components find one another by their names",
	"external_links": "reach another service through its routes",
	"volumes_from":   "name the same volumes in both components",
	"platform":       "an image runs on the platform of its node",
	"replicas":       "a component is one container; write a component for each, with routes of the same hostname, port and path",
	"scale":          "a component is one container; write a component for each, with routes of the same hostname, port and path",
	"tty":            "a container of mcp has no terminal",
	"stdin_open":     "a container of mcp has no standard input",
	"post_start":     "write a step of the service",
	"pre_stop":       "let the program do that when it gets the stop signal",
}

// Instead returns what to do in place of a key of Compose that a component does not have;
// "" if there is nothing to say.
func Instead(name string) string { return instead[name] }
