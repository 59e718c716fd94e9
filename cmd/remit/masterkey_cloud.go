//go:build kms

package main

// The drivers of key management services cost a binary without them 14 MB of disk and 12 MiB of
// memory, so they are linked on demand: go build -tags kms ./cmd/remit
import (
	_ "gocloud.dev/secrets/awskms"        // awskms://
	_ "gocloud.dev/secrets/azurekeyvault" // azurekeyvault://
	_ "gocloud.dev/secrets/gcpkms"        // gcpkms://
	_ "gocloud.dev/secrets/hashivault"    // hashivault://
)
