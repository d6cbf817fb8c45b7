package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// answers checks that a URL answers with 200 and the wanted text.
func answers(url, want string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || body.String() != want {
		return fmt.Errorf("%s answers %s with %q, not %q", url, response.Status, &body, want)
	}
	return nil
}

// serves reports whether a URL answers with 200.
func serves(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // lets the connection be reused
	return response.StatusCode == http.StatusOK
}

// servedAfter returns when the service at a URL first answered, in milliseconds
// after started. The service reports that time in a header.
func servedAfter(started time.Time, url string) (float64, error) {
	response, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	first, err := strconv.ParseInt(response.Header.Get("First-Answer"), 10, 64)
	return milliseconds(time.Unix(0, first).Sub(started)), err
}
