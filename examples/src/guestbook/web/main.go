// Command web is the guestbook's page. It listens on $PORT, the host port that
// mcp allocated for its only route.
package main

import (
	"cmp"
	"fmt"
	"html"
	"log"
	"net/http"
	"os"
	"sync/atomic"

	"guestbook/server"
)

// version is set by the linker to the tag of the image.
var version = "dev"

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		log.Fatal("web: PORT is not set")
	}
	title := html.EscapeString(cmp.Or(os.Getenv("TITLE"), "Guestbook"))
	if err := server.Run("guestbook web "+version, port, pages(title)); err != nil {
		log.Fatalf("web: %v", err)
	}
}

func pages(title string) http.Handler {
	var visits atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>%s</title><h1>%[1]s</h1><p>version %s, visit %d</p>\n",
			title, version, visits.Add(1))
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok", version)
	})
	return mux
}
