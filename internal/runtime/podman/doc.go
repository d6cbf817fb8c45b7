// Package podman implements runtime.Runtime on podman's API socket. It alone
// imports podman's bindings, and none of their types and errors leaves it.
//
// It passes the test in package contract, and compensates for what podman 4.3
// and later do differently from that contract. A comment at each place names the
// behaviour.
//
// Package workers imports it; no other package of the product does.
package podman
