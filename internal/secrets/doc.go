// Package secrets has the values that services need and that only their nodes may
// read, as they travel: sealed to the keys of these nodes, and signed.
//
// A Ref names one version of a secret of a service. An Envelope is the value of one,
// sealed to its recipients by package seal and signed with the key of an operator. A
// Reader opens envelopes on a node: only those that a signer has signed whom the node
// trusts, that are addressed to the node, and that are of the version which was asked
// for. What the control plane keeps are envelopes and what Version says of them: no
// value, and no digest of one that could be computed without a private key.
//
// Package keys has the files: the operator's signing key, and the keys that are pinned.
package secrets
