package secret

import (
	"context"
	"strings"

	"github.com/spf13/pflag"

	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows/reads"
)

// places are the nodes and the builders that a value is sealed to; none means those that
// need it.
type places struct{ nodes, builders []string }

// flags adds the flags of places.
func (p *places) flags(flags *pflag.FlagSet, what, need string) {
	flags.StringSliceVar(&p.nodes, "node", nil, "seal "+what+" to this node, instead of those that "+need+"; repeatable")
	flags.StringSliceVar(&p.builders, "builder", nil, "seal "+what+" to this builder, instead of those that "+need+"; repeatable")
}

// recipientsOf returns to whom a secret is sealed, and says what an operator should know
// about that.
func (d *desk) recipientsOf(ctx context.Context, service, name string, asked places, found reads.SecretsResult) ([]secrets.Recipient, error) {
	if len(asked.nodes)+len(asked.builders) == 0 {
		needed, err := d.consumersOf(service, name, found.Release)
		if err != nil {
			return nil, err
		}
		if asked.nodes = needed.nodes; !needed.named {
			d.Say("nothing in the %s of %s names %s yet: it is sealed to all its nodes, %s", needed.from, service, name, strings.Join(asked.nodes, ", "))
		}
		if needed.builds {
			if asked.builders, err = d.builders(service, name); err != nil {
				return nil, err
			}
		}
	}
	to, err := d.recipients(ctx, asked.nodes, asked.builders, found.Nodes)
	if err == nil {
		d.warnOfRecovery(to)
	}
	return to, err
}
