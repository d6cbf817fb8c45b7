package servicedef

import (
	"encoding/json"
	"time"
)

// Defaults that hold for every component.
const (
	defaultRestart     = "unless-stopped"
	defaultMode        = modeL4
	defaultStopTimeout = Duration(10 * time.Second)
	defaultDrain       = Duration(time.Second)
	defaultInterval    = Duration(10 * time.Second)
	defaultTimeout     = Duration(5 * time.Second)
	defaultRetries     = 3
	// A program that opens its port before it finds that something is missing ends
	// within a few milliseconds of its first answer. A deploy takes this much longer.
	defaultMinHealthy = Duration(100 * time.Millisecond)
	// A container with something to probe has startPeriod to answer; one
	// without must run for startPeriodBlind.
	startPeriod      = Duration(30 * time.Second)
	startPeriodBlind = Duration(time.Second)
)

// Defaults of jobs, and of steps.
const (
	defaultOverlap = OverlapSkip
	defaultCatchUp = Duration(time.Hour)
	// A day ends a run that hangs before it keeps the job from running for long.
	defaultJobTimeout  = Duration(24 * time.Hour)
	defaultKeep        = 10
	defaultStepTimeout = Duration(30 * time.Minute)
)

// setDefaults fills in what the text leaves out. It goes by the keys of the text,
// not by zero values, so that "retries = 0" is refused.
func (s *Service) setDefaults(text map[string]any) {
	for i := range s.Components {
		s.Components[i].setDefaults(s.Node, element(text, "components", i))
		s.Components[i].addEnv(s.Env)
	}
	for i := range s.Steps {
		s.Steps[i].setDefaults(element(text, KeySteps, i))
	}
}

func (c *Component) setDefaults(node string, text map[string]any) {
	setDefault(text, "node", &c.Node, node)
	setDefault(text, "restart", &c.Restart, defaultRestart)
	c.setJobDefaults(text)
	setDefault(text, "stop_timeout", &c.StopTimeout, defaultStopTimeout)
	setDefault(text, "drain", &c.Drain, defaultDrain)
	setDefault(text, "order", &c.Order, c.defaultOrder())
	for i := range c.Routes {
		setDefault(element(text, "routes", i), "mode", &c.Routes[i].Mode, defaultMode)
		if c.Routes[i].Protocol == tcp {
			c.Routes[i].Protocol = "" // as a node of any version knows it
		}
	}
	health, _ := text["health"].(map[string]any)
	setDefault(health, "interval", &c.Health.Interval, defaultInterval)
	setDefault(health, "timeout", &c.Health.Timeout, defaultTimeout)
	setDefault(health, "min_healthy", &c.Health.MinHealthy, defaultMinHealthy)
	setDefault(health, "retries", &c.Health.Retries, defaultRetries)
	period := startPeriodBlind
	if c.probed() {
		period = startPeriod
	}
	setDefault(health, "start_period", &c.Health.StartPeriod, period)
}

// setJobDefaults fills in what a job leaves out.
func (c *Component) setJobDefaults(text map[string]any) {
	if !c.IsJob() {
		return
	}
	setDefault(text, "restart", &c.Restart, "no")
	setDefault(text, "overlap", &c.Overlap, defaultOverlap)
	setDefault(text, "catch_up", &c.CatchUp, defaultCatchUp)
	setDefault(text, "timeout", &c.Timeout, defaultJobTimeout)
	setDefault(text, "keep", &c.Keep, defaultKeep)
}

func (s *Step) setDefaults(text map[string]any) {
	setDefault(text, "when", &s.When, StepBefore)
	setDefault(text, "timeout", &s.Timeout, defaultStepTimeout)
	setDefault(text, "stop_timeout", &s.StopTimeout, defaultStopTimeout)
}

// defaultOrder returns StopFirst if two containers of the component cannot run
// side by side.
func (c *Component) defaultOrder() Order {
	if len(c.WritableVolumes()) > 0 || len(c.Ports) > 0 || c.Network == networkHost {
		return StopFirst
	}
	return StartFirst
}

// probed reports whether a health check has a command or an address to probe.
func (c *Component) probed() bool {
	return len(c.Health.Cmd) > 0 || c.reachable()
}

// setDefault sets a field whose key is not in the text.
func setDefault[T any](text map[string]any, key string, field *T, value T) {
	if _, given := text[key]; !given {
		*field = value
	}
}

// element returns one table of an array of tables, in either notation; nil if
// there is none.
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

// UnmarshalJSON decodes a recorded component. One recorded before Drain existed
// gets its default.
func (c *Component) UnmarshalJSON(text []byte) error {
	type recorded Component
	r := recorded{Drain: defaultDrain}
	err := json.Unmarshal(text, &r)
	*c = Component(r)
	return err
}
