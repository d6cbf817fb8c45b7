// Package printed reads what containers and podman print: the frames of several streams, the
// lines of one, and the entries of a log and of the file that holds it. It asks podman
// nothing.
//
// Packages podman and building import it.
package printed
