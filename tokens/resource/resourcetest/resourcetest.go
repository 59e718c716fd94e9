// Package resourcetest is an in-process authorization server for the tests of MCP servers.
package resourcetest

import "testing"

// Issuer is the authorization server.
type Issuer struct{}

// New starts an issuer that stops with the test.
func New(t testing.TB) *Issuer { panic("resourcetest: not written yet") }
