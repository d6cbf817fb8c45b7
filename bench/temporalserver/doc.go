// Package temporalserver runs Temporal as production does: the server, with its
// data in Postgres and the dynamic configuration that mcp ships. The dev server of
// mcp dev uses SQLite, so its figures differ from those of production.
package temporalserver
