package servicedef

import "reflect"

// instead says of keys that Compose has, and a component has not, what to do in their
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

// Instead returns what to do in place of a key of Compose that a component has not; "" if
// there is nothing to say.
func Instead(name string) string { return instead[name] }

// ofOthers is the end of the message on an unknown key that other tools have.
func ofOthers(name string, table reflect.Type) string {
	of := table == reflect.TypeFor[Component]() || name == "replicas" && table == reflect.TypeFor[Service]()
	if text := instead[name]; of && text != "" {
		return ": " + text
	}
	return ""
}
