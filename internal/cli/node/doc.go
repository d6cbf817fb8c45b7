// Package node has the verbs about nodes: mcp node.
package node
