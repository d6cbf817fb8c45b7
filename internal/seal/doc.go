// Package seal makes the X25519 keys of edges and nodes, and encrypts to them in
// the age format (https://age-encryption.org/v1).
//
// An Identity is a machine's private key. It is made where it is used, rests in one
// file of mode 0600, and never leaves its machine. Its Key is public: the machine
// announces it, and an operator admits it. Seal encrypts to admitted keys only; a key
// that merely announces itself receives nothing.
//
// What is sealed names its subject, such as "certificate/shop.example". Open requires
// the same subject, so that one sealed value cannot stand for another. Anyone can
// seal to a public key: who sealed a value is not proved.
package seal
