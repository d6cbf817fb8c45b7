package workers

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/alert"
	"github.com/metacircular/mcp/internal/fleet"
)

// Alerts lists the destinations of events. The zero value has none.
type Alerts struct {
	// Webhook is a URL; Secret signs the events that are posted there.
	Webhook, Secret string
	// Insecure allows a webhook on another machine that is not encrypted.
	Insecure bool
	// Command is a program and its arguments.
	Command []string
}

// destinations returns those that are set, by their names in the registry.
func (a Alerts) destinations() map[string]oncontrol.Alerter {
	to := map[string]oncontrol.Alerter{}
	if a.Webhook != "" {
		to["webhook"] = alerter{alert.Webhook{URL: a.Webhook, Secret: a.Secret, Insecure: a.Insecure}.Send}
	}
	if len(a.Command) > 0 {
		to["command"] = alerter{alert.Command{Args: a.Command}.Send}
	}
	return to
}

// alerter sends each event as JSON: its fields, and a text for people.
type alerter struct {
	send func(context.Context, alert.Message) error
}

func (a alerter) Alert(ctx context.Context, e fleet.Event) error {
	body, err := json.Marshal(struct {
		Text string `json:"text"`
		fleet.Event
	}{e.Line(), e})
	if err != nil {
		return err
	}
	return a.send(ctx, alert.Message{ID: strconv.FormatInt(e.ID, 10), Body: body})
}
