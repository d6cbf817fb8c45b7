package proxy

import (
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is what the edge itself answers to a request.
type answer struct {
	status   int
	text     string
	retry    int // seconds after which the client may try again; 0 to say nothing of it
	location string
	realm    string // of the credentials that are asked for
}

func (a *answer) Error() string { return strconv.Itoa(a.status) + " " + http.StatusText(a.status) }

// The answers that do not depend on the request. They say nothing of the inside.
var (
	badHost     = &answer{status: http.StatusBadRequest, text: "The host of the request is not valid."}
	badPath     = &answer{status: http.StatusBadRequest, text: "The path of the request is ambiguous."}
	badBody     = &answer{status: http.StatusBadRequest, text: "The body of the request is not valid."}
	misdirected = &answer{status: http.StatusMisdirectedRequest, text: "The host of the request is not that of the connection."}
	notFound    = &answer{status: http.StatusNotFound, text: "There is nothing at this address."}
	forbidden   = &answer{status: http.StatusForbidden, text: "Your address is not allowed."}
	tooSlow     = &answer{status: http.StatusRequestTimeout, text: "The request arrived too slowly."}
	busy        = &answer{status: http.StatusServiceUnavailable, text: "Too many passwords are being checked.", retry: 1}
	maintenance = &answer{status: http.StatusServiceUnavailable, text: "The service is down for maintenance.", retry: 60}
	updating    = &answer{status: http.StatusServiceUnavailable, text: "The service is being updated.", retry: 5}
	stopped     = &answer{status: http.StatusServiceUnavailable, text: "The service does not run at the moment.", retry: 30}
	broken      = &answer{status: http.StatusBadGateway, text: "The service does not answer."}
	silent      = &answer{status: http.StatusGatewayTimeout, text: "The service does not answer in time."}
)

// answer sends a, as a page if the client shows pages.
func (e *exchange) answer(a *answer) {
	h := e.w.Header()
	title := strconv.Itoa(a.status) + " " + http.StatusText(a.status)
	page := title + "\n"
	if a.text != "" {
		page += a.text + "\n"
	}
	kind := "text/plain; charset=utf-8"
	if strings.Contains(e.in.Header.Get("Accept"), "text/html") {
		kind = "text/html; charset=utf-8"
		page = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n" +
			"<meta name=\"viewport\" content=\"width=device-width\">\n<title>" + title + "</title>\n" +
			"<h1>" + title + "</h1>\n<p>" + html.EscapeString(a.text) + "</p>\n</html>\n"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retry))
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.realm != "" {
		h.Set("WWW-Authenticate", "Basic realm="+strconv.Quote(a.realm)+`, charset="UTF-8"`)
	}
	if e.in.ProtoMajor == 1 && e.body.unfinished() {
		h.Set("Connection", "close")
	}
	if e.in.ProtoMajor == 1 && e.in.ContentLength != 0 && e.body == nil { // which the server discards
		_ = e.control.SetReadDeadline(time.Now().Add(e.turn.proxy.options.ClientIdle))
	}
	e.status, e.wrote = a.status, true
	e.bound()
	e.w.WriteHeader(a.status)
	n, _ := io.WriteString(e.w, page)
	if e.in.Method != http.MethodHead {
		e.bytes = int64(n)
	}
}
