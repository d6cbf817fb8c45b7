// Package node implements the verbs about nodes: mcp node.
package node
