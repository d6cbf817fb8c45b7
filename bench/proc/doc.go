// Package proc reads the resources that processes use from /proc: see
// proc_pid_stat(5).
package proc
