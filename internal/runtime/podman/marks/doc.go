// Package marks identifies the processes of one build, one check or one command among
// those of this host, and signals or kills them. Podman leaves some of them running when
// its client disconnects.
//
// A mark is a name that each process finds in its environment or in its /etc/hosts.
// Processes that cannot be inspected are skipped, for example if podman runs on another
// host.
//
// Packages podman and building import it.
package marks
