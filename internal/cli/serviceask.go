package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// question is one of what mcp service new asks.
type question struct {
	// flag is what says the same; where it was given, nothing is asked.
	flag, text string
	// standard is the answer of who only presses Enter, and none what is shown
	// where that is "".
	standard, none string
	set            func(answer string) error
}

// askService asks at a terminal for what no flag has said. An answer that makes
// no valid definition is asked for again.
func (a *App) askService(ctx context.Context, cfg *config.Config, o *serviceNewOptions, said func(flag string) bool) error {
	if err := o.soFar(cfg.Services); err != nil {
		return usageError{err} // no answer mends a flag
	}
	if err := a.askUntilSound(ctx, cfg.Services, o, question{text: "Name of the service", none: "none", set: needed(&o.name)}); err != nil {
		return err
	}
	standard := *o
	standard.complete(cfg)
	for _, q := range []question{
		{"node", "Node that it runs on", standard.node, "none", needed(&o.node)},
		{"image", "Image, with a tag", standard.image, "none", needed(&o.image)},
		{"containerfile", "Containerfile to build it from", "", "it is not built", into(&o.containerfile)},
		{"port", "Port that its program listens on", "", "what $PORT says", intoPort(&o.port)},
	} {
		if said(q.flag) {
			continue
		}
		if err := a.askUntilSound(ctx, cfg.Services, o, q); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) askUntilSound(ctx context.Context, dir string, o *serviceNewOptions, q question) error {
	for {
		_, _ = fmt.Fprintf(a.Stderr, "%s [%s]: ", q.text, cmp.Or(q.standard, q.none))
		answer, err := a.answer(ctx)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(answer, "\n") {
			return fault.New(fault.Conflict, "the questions were not answered: nothing has been written")
		}
		err = q.set(cmp.Or(strings.TrimSpace(answer), q.standard))
		if err == nil {
			err = o.soFar(dir)
		}
		if err == nil {
			return nil
		}
		a.say("  %s", shortly(err))
	}
}

// soFar checks what has been answered: what has not is taken to be right.
func (o *serviceNewOptions) soFar(dir string) error {
	if _, err := os.Stat(o.path(dir)); o.name != "" && err == nil {
		return fmt.Errorf("%s is there already", o.path(dir))
	}
	trial := *o
	trial.name = cmp.Or(o.name, "name")
	trial.node = cmp.Or(o.node, "node")
	trial.image = cmp.Or(o.image, "registry.example/image:v1")
	return trial.check(dir)
}

// shortly is an error without the place in a file that is not there yet.
func shortly(err error) string {
	var problems servicedef.Errors
	if errors.As(err, &problems) && len(problems) > 0 {
		return problems[0].Message
	}
	return err.Error()
}

// into is an answer that is a word.
func into(field *string) func(string) error {
	return func(answer string) error {
		*field = answer
		return nil
	}
}

// needed is an answer that may not be left out.
func needed(field *string) func(string) error {
	return func(answer string) error {
		if *field = answer; answer == "" {
			return errors.New("this has no default")
		}
		return nil
	}
}

// intoPort is an answer that is a port; "" leaves it to mcp.
func intoPort(field *int) func(string) error {
	return func(answer string) (err error) {
		if *field = 0; answer == "" {
			return nil
		}
		if *field, err = strconv.Atoi(answer); err != nil {
			return fmt.Errorf("%q is no port", answer)
		}
		return nil
	}
}
