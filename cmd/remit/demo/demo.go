// Package demo plays Remit's one-minute scene on real parts: an authorization server, an MCP
// server "Tickets" behind a Guard, an agent that asks for a task and uses it, a thief in another
// process, and the ledger that tells what happened. It owns the story and its narration; it holds
// no rule of the protocol and starts no authorization server of its own: that is handed in.
//
//	demo.go     Run: the order of the scene, and what is cleaned up
//	tickets.go  the MCP server, its five tools and its policy file
//	agent.go    the agent: tokens/agent and the MCP SDK's client
//	person.go   who consents: a browser with a person, or the script's raw client
//	thief.go    the second process, with the token and without the key
//	witness.go  the script's own judge: raw HTTP, raw JOSE and the ledger
//	narrate.go  the lines on the terminal
package demo

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os/exec"
)

// World is a running authorization server and the administration that the demo needs of it.
type World struct {
	Issuer string // RFC 8414 issuer, as its metadata will say it

	AddUser     func(ctx context.Context, u User) error
	AssignRole  func(ctx context.Context, email, resource, role string) error
	AddClient   func(ctx context.Context, metadata json.RawMessage) (clientID string, err error)
	AddResource func(ctx context.Context, r Resource) (enrolmentCode string, err error)

	Close func() error // stops the server and waits for it
}

// User is a person to add, as `remit user add` does.
type User struct {
	Email, Name, Password string
}

// Resource is a resource to add, as `remit resource add` does.
type Resource struct {
	URI, Name string
	Policy    []byte            // the policy file, YAML
	Tools     []json.RawMessage // the manifest: entries of tools/list
}

// Options is what Run needs.
type Options struct {
	// Start starts the authorization server in dev mode, its data in dir, on this listener, with
	// this issuer. The server owns the listener from then on.
	Start func(ctx context.Context, dir, issuer string, listen net.Listener) (World, error)

	// Command makes a command of the remit binary itself, `remit args…`, that administers the
	// server in dir. The scene uses `audit tail --json`, `audit verify --json` and `demo-thief`,
	// a hidden subcommand that calls Thief with its standard input and output.
	Command func(ctx context.Context, dir string, args ...string) *exec.Cmd

	Script bool      // play the person too, judge every step, and return the first wrong line as an error
	Out    io.Writer // narration; coloured when it is a terminal
	Listen string    // preferred address of the authorization server; empty: 127.0.0.1:8080
}
