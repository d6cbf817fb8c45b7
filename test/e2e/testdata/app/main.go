// Command app is what the end-to-end tests deploy. MODE says how it behaves:
// "serve" answers its version on $PORT, "exit" prints twelve lines and ends
// with code 3, "deaf" runs and never listens. DATA names a directory that must
// be its own for as long as it runs; what it finds there it leaves alone.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if dir := os.Getenv("DATA"); dir != "" {
		own(dir)
	}
	switch os.Getenv("MODE") {
	case "exit":
		for i := range 12 {
			fmt.Println("line", i+1)
		}
		os.Exit(3)
	case "deaf":
		fmt.Println("not listening")
		<-ctx.Done()
	default:
		serve(ctx)
	}
}

// serve answers until it is asked to stop, and then finishes what it began.
func serve(ctx context.Context) {
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getenv("VERSION"))
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	fmt.Println("listening on", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
	<-done
}

// own takes the directory's lock, which ends with this process. If another
// container has it, it says so there, in a file that stays: overlap.
func own(dir string) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		_ = os.WriteFile(filepath.Join(dir, "overlap"), []byte(err.Error()), 0o600)
		fmt.Println("own", dir, err)
		os.Exit(1)
	}
}
