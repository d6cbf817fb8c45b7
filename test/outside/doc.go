// Package outside judges a service as its clients do, from outside: each client notes
// every request that fails and every connection that breaks, while the service is
// updated, rolled back and restarted.
//
// The service is the program in testdata/app, or one that answers the same paths.
package outside
