// Package tokens owns all cryptography of Remit and everything that a token says.
package tokens
