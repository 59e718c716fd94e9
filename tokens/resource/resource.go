// Package resource is what an MCP server imports to stand under Remit: a Guard that checks every
// call a second time, close to the tools, against the server's own policy. It trusts no claim that
// it can check, decides without asking the authorization server, and refuses when in doubt: without
// a fresh view of what has ended (P1), without a record on disk (P3), without an answer about a
// budget. It never issues anything, never forwards a token, and never looks into a tool's answer.
//
//	guard.go       Config, New and the Guard's parts
//	protect.go     the handler and its steps, in order        DESIGN §4 "Call"
//	token.go       token and proof                            RFC 9068, RFC 9449
//	message.go     one JSON-RPC message, taken literally      MCP 2026-07-28
//	authorize.go   definition, scope, role, grant, limits     RFC 9396
//	budget.go      calls counted at the authorization server
//	refusal.go     challenges and structured denials          RFC 6750, RFC 9449 §7.1
//	metadata.go    protected resource metadata                RFC 9728
//	execution.go, spool.go, segment.go, lasting.go, ship.go  the record of every call
//	feed.go, view.go, witness.go  what has ended              RFC 8417
//	enrol.go, authority.go, keys.go, manifest.go  the Guard at its authorization server
package resource
