// Package secrets seals and opens the values that services need and that only their
// nodes may read: they travel sealed to the keys of these nodes, and signed.
//
// A Ref names one version of a secret of a service. An Envelope is the value of one,
// sealed to its recipients by package seal and signed with the key of an operator. A
// Reader opens envelopes on a node: only those that are signed by a signer whom the
// node trusts, addressed to the node, and of the version that was asked for. The
// control plane keeps envelopes and what Version says of them: no value, and no digest
// of one that could be computed without a private key.
//
// Package keys reads and writes the files: the operator's signing key, and the pinned
// keys.
package secrets
