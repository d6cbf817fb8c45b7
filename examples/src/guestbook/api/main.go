// Command api keeps the guestbook's notes in memory. It listens on a fixed port,
// as most third-party images do.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"sync"

	"guestbook/server"
)

// port is the container_port of the service definition.
const port = "8080"

// version is set by the linker to the tag of the image.
var version = "dev"

func main() {
	if err := server.Run("guestbook api "+version, port, (&notes{list: []string{}}).routes()); err != nil {
		log.Fatalf("api: %v", err)
	}
}

type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /notes", n.show)
	mux.HandleFunc("POST /notes", n.add)
	mux.HandleFunc("GET /{$}", n.show)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok", version)
	})
	return mux
}

func (n *notes) show(w http.ResponseWriter, _ *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"version": version, "notes": n.list})
}

func (n *notes) add(w http.ResponseWriter, r *http.Request) {
	var note struct {
		Text string `json:"text"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&note); err != nil || note.Text == "" {
		http.Error(w, `want {"text": "…"}`, http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	n.list = append(n.list, note.Text)
	n.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}
