package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
)

// withoutEnvironment are the verbs that take a service as a whole, with all its
// environments.
var withoutEnvironment = map[string]bool{"edit": true}

// addEnvironments gives the flag --env to every verb that takes services. The verb itself
// sees the service in the environment, such as shop-staging, as its argument. A new verb
// needs no line here: its Use line names its arguments.
func addEnvironments(cmd *cobra.Command, s *session.Session) {
	for _, sub := range cmd.Commands() {
		addEnvironments(sub, s)
	}
	words := positional(cmd.Use)
	if cmd.RunE == nil || withoutEnvironment[cmd.Name()] || !takesService(words) {
		return
	}
	if cmd.Flags().Lookup("env") != nil || cmd.Flags().ShorthandLookup("e") != nil {
		return // the flag is one of the verb's own
	}
	cmd.Flags().StringVarP(&s.Environment, "env", "e", "", "the environment: with -e staging, shop is shop-staging, from [env.staging]")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("env") {
			var err error
			if args, err = s.InEnvironment(words, args); err != nil {
				return err
			}
		}
		return run(cmd, args)
	}
}

func takesService(words []string) bool {
	for _, word := range words {
		if session.NamesService(word) {
			return true
		}
	}
	return false
}

// positional returns the arguments of a Use line, which begins with the command's name
// and may show flags.
func positional(use string) []string {
	var words []string
	inFlag := false
	for _, word := range strings.Fields(use)[1:] {
		if inFlag = inFlag || strings.HasPrefix(word, "[-"); inFlag {
			inFlag = !strings.HasSuffix(word, "]")
			continue
		}
		if inner, optional := strings.CutPrefix(word, "["); optional {
			word = strings.TrimSuffix(inner, "]")
		}
		words = append(words, word)
	}
	return words
}
