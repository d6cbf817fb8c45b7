// Push makes the images that the example applications need, and pushes them to an image
// registry: push 127.0.0.1:5000 [postgres redis …].
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/metacircular/mcp/examples/images"
	"github.com/metacircular/mcp/internal/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "push:", err)
		if hint := fault.Of(err).Hint; hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fault.New(fault.Invalid, "name the image registry, as in push 127.0.0.1:5000")
	}
	maker, err := images.NewMaker(os.Stdout)
	if err != nil {
		return err
	}
	return maker.Push(ctx, args[0], args[1:]...)
}
