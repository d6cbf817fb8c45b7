package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// compressLeast is the length from which on compression is worth it.
const compressLeast = 1 << 10

// encoder compresses the body of one answer.
type encoder struct{ gzip *gzip.Writer }

var encoders = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, 5) // which fails for an unknown level alone
	return &encoder{w}
}}

// encoder returns what compresses an answer whose route asks for it, and says so in
// its headers; nil if it is sent as it is.
func (e *exchange) encoder(response *http.Response) *encoder {
	h := response.Header
	if !e.turn.route.Compress || !compressible(response) {
		return nil
	}
	if !listed(h["Vary"], "Accept-Encoding") && !listed(h["Vary"], "*") {
		h["Vary"] = append(h["Vary"], "Accept-Encoding")
	}
	if e.in.Method == http.MethodHead || !accepts(e.in.Header["Accept-Encoding"]) {
		return nil
	}
	h["Content-Encoding"] = []string{"gzip"}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges")
	delete(h, "Content-Md5")
	delete(h, "Digest")
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag} // the bytes are others, the meaning is the same
	}
	return encoders.Get().(*encoder)
}

func (c *encoder) begin(to *sender)               { c.gzip.Reset(to) }
func (c *encoder) Write(data []byte) (int, error) { return c.gzip.Write(data) }
func (c *encoder) flush() error                   { return c.gzip.Flush() }
func (c *encoder) end() error                     { return c.gzip.Close() }

func (c *encoder) release() {
	c.gzip.Reset(nil)
	encoders.Put(c)
}

// compressible reports whether an answer may be compressed, and is worth it.
func compressible(r *http.Response) bool {
	h := r.Header
	switch {
	case r.StatusCode < 200, r.StatusCode == http.StatusNoContent, r.StatusCode == http.StatusNotModified,
		r.StatusCode == http.StatusPartialContent, r.StatusCode == http.StatusResetContent,
		h["Content-Encoding"] != nil, h["Content-Range"] != nil,
		r.ContentLength >= 0 && r.ContentLength < compressLeast,
		listed(h["Cache-Control"], "no-transform"):
		return false
	}
	kind, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	switch kind = strings.TrimSpace(kind); kind {
	case "text/event-stream":
		return false
	case "application/json", "application/javascript", "application/xml", "application/wasm", "application/x-javascript",
		"application/x-ndjson", "application/manifest+json", "application/yaml", "image/svg+xml", "image/bmp", "image/x-icon",
		"font/ttf", "font/otf", "application/vnd.ms-fontobject":
		return true
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// accepts reports whether a client accepts gzip, as RFC 9110, section 12.5.3, has it.
func accepts(lists []string) bool {
	any := false
	for _, list := range lists {
		for one := range strings.SplitSeq(list, ",") {
			coding, weight, _ := strings.Cut(one, ";")
			wanted := true
			if q, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(weight), " ", ""), "q="); found {
				value, err := strconv.ParseFloat(q, 64)
				wanted = err == nil && value > 0
			}
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return wanted
			case "*":
				any = wanted
			}
		}
	}
	return any
}
