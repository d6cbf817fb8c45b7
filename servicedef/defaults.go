package servicedef

import (
	"encoding/json"
	"time"
)

// Defaults that hold for every component.
const (
	defaultRestart     = "unless-stopped"
	defaultMode        = "l4"
	defaultStopTimeout = Duration(10 * time.Second)
	defaultDrain       = Duration(time.Second)
	defaultInterval    = Duration(10 * time.Second)
	defaultTimeout     = Duration(5 * time.Second)
	defaultRetries     = 3
	// A container with something to probe may take startPeriod until it
	// answers; one without must only survive startPeriodBlind.
	startPeriod      = Duration(30 * time.Second)
	startPeriodBlind = Duration(time.Second)
)

// setDefaults fills in what the text leaves out. It asks the text, and not
// for zero values, so that "retries = 0" is seen and refused.
func (s *Service) setDefaults(text map[string]any) {
	for i := range s.Components {
		s.Components[i].setDefaults(s.Node, element(text, "components", i))
	}
}

func (c *Component) setDefaults(node string, text map[string]any) {
	setDefault(text, "node", &c.Node, node)
	setDefault(text, "restart", &c.Restart, defaultRestart)
	setDefault(text, "stop_timeout", &c.StopTimeout, defaultStopTimeout)
	setDefault(text, "drain", &c.Drain, defaultDrain)
	setDefault(text, "order", &c.Order, c.defaultOrder())
	for i := range c.Routes {
		setDefault(element(text, "routes", i), "mode", &c.Routes[i].Mode, defaultMode)
	}
	health, _ := text["health"].(map[string]any)
	setDefault(health, "interval", &c.Health.Interval, defaultInterval)
	setDefault(health, "timeout", &c.Health.Timeout, defaultTimeout)
	setDefault(health, "retries", &c.Health.Retries, defaultRetries)
	period := startPeriodBlind
	if c.probed() {
		period = startPeriod
	}
	setDefault(health, "start_period", &c.Health.StartPeriod, period)
}

// UnmarshalJSON reads a component as it was recorded. What was recorded before
// there was a drain had the default.
func (c *Component) UnmarshalJSON(text []byte) error {
	type recorded Component
	r := recorded{Drain: defaultDrain}
	err := json.Unmarshal(text, &r)
	*c = Component(r)
	return err
}

// defaultOrder is StopFirst where two containers could not run side by side.
func (c *Component) defaultOrder() Order {
	if len(c.Volumes) > 0 || len(c.Ports) > 0 || c.Network == networkHost {
		return StopFirst
	}
	return StartFirst
}

// probed is whether there is something to ask for the component's health.
func (c *Component) probed() bool {
	return len(c.Health.Cmd) > 0 || c.reachable()
}

// reachable is whether the component has a route or a tcp port.
func (c *Component) reachable() bool {
	for _, p := range c.StaticPorts() {
		if p.Protocol == tcp {
			return true
		}
	}
	return len(c.Routes) > 0
}

// setDefault sets a field whose key is not in the text.
func setDefault[T any](text map[string]any, key string, field *T, value T) {
	if _, given := text[key]; !given {
		*field = value
	}
}

// element is one table of an array of tables, however it was written; nil if
// there is no such table.
func element(text map[string]any, key string, i int) map[string]any {
	switch array := text[key].(type) {
	case []map[string]any:
		return array[i]
	case []any:
		table, _ := array[i].(map[string]any)
		return table
	}
	return nil
}
