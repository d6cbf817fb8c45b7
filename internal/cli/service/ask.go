package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// question is one that mcp service new asks.
type question struct {
	// flag is the flag that gives the same; if it is given, the question is not
	// asked.
	flag, text string
	// standard is the answer to an empty line; if it is "", none is shown for it.
	standard, none string
	set            func(answer string) error
}

// askService asks at a terminal what no flag gives. A question whose answer makes no
// valid definition is asked again.
func askService(ctx context.Context, s *session.Session, cfg *config.Config, o *draft, given func(flag string) bool) error {
	if err := o.soFar(cfg.Services); err != nil {
		return exit.Usage(err) // no answer corrects a flag
	}
	if err := askUntilSound(ctx, s, cfg.Services, o, question{text: "Name of the service", none: "none", set: needed(&o.name)}); err != nil {
		return err
	}
	standard := *o
	standard.complete(cfg)
	for _, q := range []question{
		{"node", "Node that it runs on", standard.node, "none", needed(&o.node)},
		{"image", "Image, with a tag", standard.image, "none", needed(&o.image)},
		{"containerfile", "Containerfile to build it from", "", "it is not built", into(&o.containerfile)},
		{"port", "Port that its program listens on", "", "the value of $PORT", intoPort(&o.port)},
	} {
		if given(q.flag) {
			continue
		}
		if err := askUntilSound(ctx, s, cfg.Services, o, q); err != nil {
			return err
		}
	}
	return nil
}

func askUntilSound(ctx context.Context, s *session.Session, dir string, o *draft, q question) error {
	for {
		_, _ = fmt.Fprintf(s.Stderr, "%s [%s]: ", q.text, cmp.Or(q.standard, q.none))
		answer, err := s.Answer(ctx)
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
		s.Say("  %s", shortly(err))
	}
}

// shortly returns an error without its place in a file that does not exist yet.
func shortly(err error) string {
	var problems servicedef.Errors
	if errors.As(err, &problems) && len(problems) > 0 {
		return problems[0].Message
	}
	return err.Error()
}

// into takes any answer.
func into(field *string) func(string) error {
	return func(answer string) error {
		*field = answer
		return nil
	}
}

// needed takes an answer that is not empty.
func needed(field *string) func(string) error {
	return func(answer string) error {
		if *field = answer; answer == "" {
			return errors.New("this has no default")
		}
		return nil
	}
}

// intoPort takes a port; "" leaves the choice to mcp.
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
