// Package local implements the verbs that work on this machine: the local
// platform, the workers, the tables in Postgres, the configuration and the
// doctor.
package local
