// Announced is mcp-edge with one addition: it announces its activities to the harness of
// the crash matrix, on the socket that a variable names.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/edge/command"
	"github.com/metacircular/mcp/test/crash/announce"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	app := command.App{
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Interceptors: []interceptor.WorkerInterceptor{&announce.Announcer{Socket: os.Getenv(announce.Variable)}},
	}
	code := app.Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
