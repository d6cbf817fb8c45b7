// Package reach implements the verbs that reach into containers: exec, cp,
// port-forward.
package reach
