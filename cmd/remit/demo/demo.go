// Package demo plays Remit's one-minute scene on real parts: an authorization server, an MCP
// server "Tickets" behind a Guard, an agent that asks for a task and uses it, a thief in another
// process, and the ledger that tells what happened. It owns the story and its narration; it holds
// no rule of the protocol and starts no authorization server of its own: that is handed in.
//
//	demo.go     Options, World, Run
//	stage.go    what is set up before the scene, and cleaned up after it
//	scene.go    the acts, in order
//	tickets.go  the MCP server, its five tools and its policy file
//	agent.go    the agent: tokens/agent and the MCP SDK's client
//	person.go   who consents: a person at a browser, or the script's raw client
//	thief.go    the second process, with the token and without the key
//	witness.go  the script's own judge: raw HTTP, raw JOSE and the ledger
//	narrate.go  the lines on the terminal
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
)

// World is a running authorization server and the administration that the demo needs of it.
type World struct {
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
	DefaultOn []string          // additive tools that the consent page may tick
}

// Options is what Run needs.
type Options struct {
	// Start starts the authorization server in dev mode, its data in dir, with this issuer, on this
	// listener, which belongs to it from then on.
	Start func(ctx context.Context, dir, issuer string, listen net.Listener) (World, error)

	// Command makes a command of the remit binary itself, `remit args…`, that administers the server
	// whose data is in dir. The scene runs
	//
	//	audit tail --json     one JSON object per line and record: seq, kind, task, jti, execution, payload, …
	//	audit verify --json   one JSON object: ok, records, head
	//	demo-thief            hidden: calls Thief with its standard input and output
	Command func(ctx context.Context, dir string, args ...string) *exec.Cmd

	Script bool      // play the person too, judge every step, and return the first wrong line as an error
	Out    io.Writer // narration; coloured when it is a terminal
}

// Run sets the stage, plays the scene, and, unless it is the script, keeps everything running
// until ctx is done. It leaves nothing behind.
func Run(ctx context.Context, o Options) (err error) {
	s := &scene{Options: o, say: newNarrator(o.Out), password: newPassword()}
	defer func() { err = errors.Join(err, s.strike()) }()
	if err := s.set(ctx); err != nil {
		return unlessDone(ctx, fmt.Errorf("demo: %w", err))
	}
	err = s.play(ctx)
	if o.Script {
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		s.say.text("", fmt.Sprintf("script: %d checks by a raw client and by the ledger, all as told", s.checks))
		return nil
	}
	if err != nil && ctx.Err() == nil {
		s.say.text("", "The scene ends here: "+err.Error())
	}
	if ctx.Err() == nil {
		s.stay()
		<-ctx.Done()
	}
	s.say.text("", "Stopped. The demo's data is removed.")
	return nil
}

// unlessDone drops the errors of a scene that somebody ended.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
