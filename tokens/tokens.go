// Package tokens owns all cryptography of Remit and all that a token says. A value of one of its
// types has been verified or was made here; raw input stays a string or bytes. It opens no
// connection, keeps no state but keys, and decides about no right: it says what a token, a proof
// or an argument is, never whether it is enough.
//
//	json.go strict.go members.go     JSON to the letter
//	canonical.go                    RFC 8785
//	definition.go                   the hash of a tool's definition
//	details.go                      authorization_details, RFC 9396
//	constraints.go arguments.go     limits of arguments, and the arguments of a call against them
//	chips.go                        limits in words
//	jws.go jwk.go keys.go           RFC 7515, RFC 7517, RFC 7638: compact JWS, ES256 and EdDSA alone
//	claims.go access.go             access tokens, RFC 9068
//	dpop.go proofkey.go uri.go      DPoP proofs, RFC 9449
//	nonce.go                        DPoP nonces, RFC 9449 §8
//	assertion.go                    client assertions, RFC 7523
//	checkpoint.go set.go            ledger checkpoints; security events, RFC 8417
//	ids.go pkce.go seal.go          names and secrets; RFC 7636; encryption at rest
//	push.go                         messages to browsers, RFC 8291, RFC 8292
//
// Signing and verifying are done over the standard library, because a JOSE library costs as much
// again as the signature; go-jose is the oracle of the fuzz tests.
package tokens
