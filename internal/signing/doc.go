// Package signing makes and checks the signatures of images, in the format that cosign
// and podman's policy sigstoreSigned share: a payload in JSON that names a repository and
// the digest of a manifest, and a signature of it by the owner's key.
//
// It alone imports sigstore's packages. It reads files of keys, and reaches no image
// registry: package imageregistry keeps the signatures there.
package signing
