// Package config reads mcp.toml, the configuration of each process of mcp.
// Defaults are in code; the file overrides them, the environment overrides the
// file, and a command's flags override all.
package config
