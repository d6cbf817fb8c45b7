// Package telemetry serves the state of a process over HTTP: metrics for
// Prometheus at /metrics, liveness at /healthz and readiness at /readyz. It alone
// imports the Prometheus client.
//
// It defines how a process is measured, not what: packages that declare metrics
// and readiness checks import it, and it imports internal/fault alone. No failure
// to listen or to read a metric ends the process.
package telemetry
