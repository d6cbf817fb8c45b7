package compose

import (
	"strings"

	"github.com/metacircular/mcp/internal/compose/source"
)

// health takes over a command that finds out whether the container is healthy. It
// takes over nothing if the check is disabled: mcp does not run that of the image.
func (c *component) health() {
	check := c.node.Get("healthcheck")
	if check.Empty() {
		check.Take()
		return
	}
	test := check.Get("test")
	words := texts(test)
	switch {
	case truth(check.Get("disable")), len(words) > 0 && words[0] == "NONE":
		check.Take()
		return
	case test.Empty():
		if len(check.Keys) > 0 {
			c.note(check, "healthcheck", "is not taken over: its command is the image's, and mcp does not run that")
		}
		return
	case test.Kind == source.Scalar:
		c.put("health", "cmd", shell(test.Text), test, "healthcheck.test")
	case len(words) > 1 && words[0] == "CMD-SHELL":
		c.put("health", "cmd", shell(strings.Join(words[1:], " ")), test, "healthcheck.test")
	case len(words) > 1 && words[0] == "CMD":
		c.put("health", "cmd", words[1:], test, "healthcheck.test")
	default:
		c.note(test, "healthcheck.test", "is not taken over: it must be NONE, or begin with CMD or CMD-SHELL, and have a command")
		return
	}
	for _, key := range []string{"interval", "timeout", "start_period"} {
		if n := check.Get(key); !n.Empty() {
			if n.Text == "0" || n.Text == "0s" {
				n.Take()
				continue
			}
			c.healthDuration(key, n)
		}
	}
	if n := check.Get("retries"); !n.Empty() {
		c.put("health", "retries", wholeOr(n), n, "healthcheck.retries")
	}
	check.Get("start_interval").Take() // probes begin more often by themselves
	check.Get("disable").Take()
}

func (c *component) healthDuration(key string, n *source.Node) {
	c.duration("health."+key, n, "healthcheck."+key)
	if f, ok := c.fields["health."+key]; ok {
		delete(c.fields, "health."+key)
		c.put("health", key, f.value, n, "healthcheck."+key)
	}
}

func shell(command string) []string { return []string{"/bin/sh", "-c", command} }
