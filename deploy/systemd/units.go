// Package systemd has the units of mcp's processes, which mcp join installs.
package systemd

import "embed"

// Units are the files of this directory.
//
//go:embed *.service
var Units embed.FS
