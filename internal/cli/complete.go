package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// completePatience is how long the live system may take to add to what the
// files say: somebody has pressed Tab. A process for which nobody waits has
// laterPatience.
const (
	completePatience = 800 * time.Millisecond
	laterPatience    = 10 * time.Second
)

// completer finds what a word may be, after the words before it. What cannot be
// found out in time is left out, silently.
type completer func(a *App, ctx context.Context, cfg *config.Config, before []string, word string) []cobra.Completion

// wordCompleters are for the words that a command's Use line shows, without
// "[…]" around them and "…" behind; others are free text.
var wordCompleters = map[string]completer{
	"SERVICE":             (*App).completeService,
	"SERVICE[/COMPONENT]": (*App).completeComponent,
	"SERVICE/COMPONENT":   (*App).completeComponent,
	"SERVICE[/IMAGE]":     (*App).completeImage,
	"NODE":                (*App).completeNode,
	"N":                   (*App).completeDeployment,
}

// flagCompleters are for the flags of these names, and fileFlags says of those
// that the shell completes itself how a file's name ends; "" is a directory.
var (
	flagCompleters = map[string]completer{"node": (*App).completeNode, "to": (*App).completeRelease}
	fileFlags      = map[string]string{"config": "toml", "podman-socket": "sock", "socket": "sock", "dir": "", "workspace": "", "services": ""}
)

// complete lets each command complete its arguments and flags. What they are is
// read from its Use line, so that a new verb completes by itself.
func (a *App) complete(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		a.complete(sub)
	}
	if words := positional(cmd.Use); cmd.Runnable() && cmd.ValidArgsFunction == nil && cmd.ValidArgs == nil {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, before []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return a.completeArgument(cmd.Context(), words, before, word)
		}
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { a.completeFlag(cmd, f) })
}

// positional are the arguments of a Use line, which begins with the command's
// name and may show flags.
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

// completeArgument completes the argument that comes after those before it.
func (a *App) completeArgument(ctx context.Context, words, before []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(words) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	place := min(len(before), len(words)-1)
	name, repeats := strings.CutSuffix(words[place], "…")
	switch find := wordCompleters[name]; {
	case name == "FILE":
		return []cobra.Completion{"toml"}, cobra.ShellCompDirectiveFilterFileExt
	case find == nil || place < len(before) && !repeats:
		return nil, cobra.ShellCompDirectiveNoFileComp
	default:
		found := slices.DeleteFunc(a.find(ctx, find, before, word), func(c cobra.Completion) bool { return repeats && slices.Contains(before, c) })
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// find has a completer find what a word may be.
func (a *App) find(ctx context.Context, find completer, before []string, word string) []cobra.Completion {
	cfg, err := a.config()
	if err != nil {
		return nil
	}
	return find(a, ctx, cfg, before, word)
}

// completeFlag lets a flag that takes a value complete it.
func (a *App) completeFlag(cmd *cobra.Command, f *pflag.Flag) {
	if f.NoOptDefVal != "" {
		return
	}
	_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, before []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if ending, isFile := fileFlags[f.Name]; isFile && ending != "" {
			return []cobra.Completion{ending}, cobra.ShellCompDirectiveFilterFileExt
		} else if isFile {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		if find := flagCompleters[f.Name]; find != nil {
			return a.find(cmd.Context(), find, before, word), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}) // it fails for a flag that has one already
}

// peek reads something of the live system, if that is quick, and keeps what a
// completion needs of it. Asking costs as much as all the rest, so what was
// heard before is offered at once, and asked again behind the back of who
// waits; so is what was never heard, where there is something else to offer. An
// error is for nobody to see.
func peek[Said, Kept any](ctx context.Context, a *App, cfg *config.Config, workflow string, in any, others bool, keep func(Said) Kept) (kept Kept) {
	options, err := cfg.TemporalOptions()
	if err != nil {
		return kept
	}
	key := fmt.Sprintf("%q %q %s %v", options.HostPort, options.Namespace, workflow, in)
	patience := completePatience
	switch found, fresh := a.recall(key, &kept); {
	case a.Getenv(askAnew) != "":
		patience = laterPatience
	case found && fresh:
		return kept
	case (found || others) && a.AskLater != nil:
		a.askLater(key)
		return kept
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	silent := *a
	silent.Stderr = io.Discard
	var said Said
	if silent.query(ctx, "complete", workflow, in, &said) != nil {
		return kept
	}
	kept = keep(said)
	a.remember(key, kept)
	return kept
}

// defined are the services that the services directory has, as far as they are
// sound, by name. They are remembered until a file changes.
func (a *App) defined(cfg *config.Config) map[string]names {
	if cfg.Services == "" {
		return nil
	}
	found, key := map[string]names{}, listing(cfg.Services)
	if known, _ := a.recall(key, &found); known {
		return found
	}
	sound, _, _ := definitions(cfg.Services)
	for name, s := range sound {
		found[name] = namesIn(s)
	}
	a.remember(key, found)
	return found
}

// listing tells a directory from another, and from itself with other files.
func listing(dir string) string {
	entries, _ := os.ReadDir(dir) // none are as good a key
	list := fmt.Sprintf("%q", dir)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			list += fmt.Sprintf(" %q %d %d", info.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return list
}

func (a *App) completeService(ctx context.Context, cfg *config.Config, _ []string, word string) []cobra.Completion {
	return a.completeIn(ctx, cfg, word, nil)
}

func (a *App) completeComponent(ctx context.Context, cfg *config.Config, _ []string, word string) []cobra.Completion {
	return a.completeIn(ctx, cfg, word, func(n names) []string { return n.Components })
}

func (a *App) completeImage(ctx context.Context, cfg *config.Config, _ []string, word string) []cobra.Completion {
	return a.completeIn(ctx, cfg, word, func(n names) []string { return n.Images })
}

// names are the words that a service has for its parts, and for where they run.
type names struct{ Components, Images, Nodes []string }

// namesIn are those of a definition; nil has none.
func namesIn(s *servicedef.Service) names {
	if s == nil {
		return names{}
	}
	return names{componentNames(s), imageNames(s), workflows.Nodes(*s)}
}

// deployed are the services that the system knows. One whose only deployment
// has not succeeded has no definition yet.
func deployed(services []fleet.ServiceRecord) map[string]names {
	byName := map[string]names{}
	for _, s := range services {
		byName[s.Release.Service] = namesIn(s.Release.Definition)
	}
	return byName
}

// completeIn finds services, those of files and those that have been deployed,
// and where the word leaves only one of them, the parts of it, if there are any.
func (a *App) completeIn(ctx context.Context, cfg *config.Config, word string, parts func(names) []string) []cobra.Completion {
	service, _, within := strings.Cut(word, "/")
	other := func(name string) bool { return name != service && (within || !strings.HasPrefix(name, service)) }
	written := a.defined(cfg)
	list := slices.DeleteFunc(slices.Collect(maps.Keys(written)), other)
	released := peek(ctx, a, cfg, workflows.ServicesName, nil, len(list) > 0, deployed)
	list = append(list, slices.DeleteFunc(slices.Collect(maps.Keys(released)), other)...)
	slices.Sort(list)
	if list = slices.Compact(list); len(list) == 1 && parts != nil {
		for _, part := range slices.Concat(parts(released[list[0]]), parts(written[list[0]])) {
			list = append(list, list[0]+"/"+part)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// completeNode finds nodes, those that files place something on and those that
// there are, which have their state beside them.
func (a *App) completeNode(ctx context.Context, cfg *config.Config, _ []string, word string) []cobra.Completion {
	found, begun := map[string]string{}, false
	for _, s := range a.defined(cfg) {
		for _, node := range s.Nodes {
			found[node] = ""
			begun = begun || strings.HasPrefix(node, word)
		}
	}
	maps.Copy(found, peek(ctx, a, cfg, workflows.NodeStatesName, nil, begun, func(nodes []fleet.NodeState) map[string]string {
		live := map[string]string{}
		for _, n := range nodes {
			live[n.Name] = shownState(stateOf(n), n.Draining)
		}
		return live
	}))
	var list []cobra.Completion
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, cobra.CompletionWithDesc(name, found[name]))
	}
	return list
}

func (a *App) completeDeployment(ctx context.Context, cfg *config.Config, before []string, _ string) []cobra.Completion {
	return a.deployments(ctx, cfg, before, func(deployment) bool { return true })
}

func (a *App) completeRelease(ctx context.Context, cfg *config.Config, before []string, _ string) []cobra.Completion {
	return a.deployments(ctx, cfg, before, func(d deployment) bool { return d.Release })
}

// deployment is one that can be named by its number. Release says that there is
// something to go back to.
type deployment struct {
	Number  int
	Text    string
	Release bool
}

// deployments finds those of the service that the first argument names, newest
// first.
func (a *App) deployments(ctx context.Context, cfg *config.Config, before []string, wanted func(deployment) bool) []cobra.Completion {
	if len(before) == 0 {
		return nil
	}
	var list []cobra.Completion
	for _, d := range peek(ctx, a, cfg, workflows.HistoryName, workflows.HistoryInput{Service: before[0]}, false, past) {
		if wanted(d) {
			list = append(list, cobra.CompletionWithDesc(strconv.Itoa(d.Number), d.Text))
		}
	}
	return list
}

func past(known workflows.HistoryResult) []deployment {
	var list []deployment
	for _, d := range known.Deployments {
		list = append(list, deployment{
			Number:  d.Number,
			Text:    fmt.Sprintf("%s, %s, %s", d.Verb, cmp.Or(d.Outcome, "under way"), d.Started.Local().Format(time.DateTime)),
			Release: d.Outcome == string(workflows.Succeeded) && workflows.Verb(d.Verb) != workflows.VerbUndeploy,
		})
	}
	return list
}
