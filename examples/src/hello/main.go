// Command hello answers every request with a greeting and its version. It listens
// on $PORT and, on SIGTERM, answers the requests in progress before it exits.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set by the linker to the tag of the image.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	port := os.Getenv("PORT")
	if port == "" {
		log.Fatal("hello: PORT is not set")
	}
	server := &http.Server{
		Addr:              ":" + port,
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "hello from mcp, version", version)
		}),
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		log.Printf("hello %s is stopping; answering the requests in progress", version)
		last, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		stopped <- server.Shutdown(last)
	}()
	log.Printf("hello %s listens on port %s", version, port)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("hello: %v", err)
	}
	if err := <-stopped; err != nil {
		log.Fatalf("hello: %v", err)
	}
	log.Printf("hello %s has stopped", version)
}
