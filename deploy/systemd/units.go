// Package systemd has the units of mcp's processes, which mcp join installs.
package systemd

import "embed"

// Units are the files of this directory, and in user those of a user's own systemd.
//
//go:embed *.service user/*.service
var Units embed.FS
