package server_test

import "github.com/caddyserver/certmagic"

// sharedStorage is one that several edges use.
func sharedStorage(dir string) certmagic.Storage { return &certmagic.FileStorage{Path: dir} }
