// Package service has the verbs about definitions, the files of the services
// directory: mcp service.
package service
