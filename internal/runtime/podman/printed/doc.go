// Package printed reads what podman prints, line by line.
//
// Packages podman and building import it.
package printed
