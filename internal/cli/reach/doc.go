// Package reach has the verbs that reach into containers: exec, cp, port-forward.
package reach
