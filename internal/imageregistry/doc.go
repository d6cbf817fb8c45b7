// Package imageregistry resolves the tags and digests of images in OCI image
// registries. It alone imports the OCI client, go-containerregistry.
//
// It sends one HEAD request per image, pulls nothing and leaves retries to its
// caller. It sends credentials over plain http only to hosts that are listed as
// insecure, and to this host.
//
// Package workers imports it and passes its Client to the activities.
package imageregistry
