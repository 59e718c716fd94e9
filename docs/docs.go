// Package docs holds what the server says of itself to machines.
package docs

import _ "embed"

// OpenAPI describes the admin API (OpenAPI 3.1).
//
//go:embed openapi.yaml
var OpenAPI []byte
