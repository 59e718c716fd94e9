// Package resource is what an MCP server imports to stand under Remit.
package resource
