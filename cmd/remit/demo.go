package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"github.com/remit-auth/remit/cmd/remit/demo"
)

type demoCmd struct {
	Script bool `help:"Play it without a person and judge every step."`
}

// Run plays the demo on a server of its own.
func (c *demoCmd) Run(ctx context.Context, a *app) error {
	return demo.Run(ctx, demo.Options{
		Script: c.Script, Out: a.out,
		Start: func(ctx context.Context, dir, issuer string, listen net.Listener) (demo.World, error) {
			return startDemo(ctx, a, dir, issuer, listen)
		},
		Command: func(ctx context.Context, dir string, args ...string) *exec.Cmd { return a.demoCommand(ctx, dir, args) },
	})
}

type demoThiefCmd struct{}

// Run is the demo's second process: it holds the token and not the key.
func (c *demoThiefCmd) Run(ctx context.Context, a *app) error { return demo.Thief(ctx, a.in, a.out) }

// startDemo starts a server whose settings are the demo's alone.
func startDemo(ctx context.Context, a *app, dir, issuer string, listen net.Listener) (demo.World, error) {
	// The scene shows a thief refused while the agent goes on, so no rule pauses the task.
	cfg := Config{Issuer: issuer, Listen: listen.Addr().String(), DataDir: dir, Dev: true, Rules: "off"}
	if err := cfg.check(); err != nil {
		return demo.World{}, err
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := start(ctx, cfg, log, listen)
	if err != nil {
		return demo.World{}, err
	}
	operator := &admin{client: &http.Client{Transport: handlerTransport{s.server.Admin()}}}
	return demo.World{
		AddUser: func(ctx context.Context, u demo.User) error {
			return operator.do(ctx, "users", nil, map[string]string{"email": u.Email, "name": u.Name, "password": u.Password}, &struct{}{})
		},
		AssignRole: func(ctx context.Context, email, resource, role string) error {
			return operator.do(ctx, "users/assign", nil, map[string]string{"user": email, "resource": resource, "role": role}, &struct{}{})
		},
		AddClient: func(ctx context.Context, metadata json.RawMessage) (string, error) {
			var out client
			err := operator.do(ctx, "clients", nil, metadata, &out)
			return out.ID, err
		},
		AddResource: func(ctx context.Context, r demo.Resource) (string, error) {
			var out struct {
				Code string `json:"enrolment_code"`
			}
			err := operator.do(ctx, "resources", nil, map[string]any{
				"uri": r.URI, "name": r.Name, "policy": string(r.Policy), "tools": r.Tools, "default_on": append([]string{}, r.DefaultOn...),
			}, &out)
			return out.Code, err
		},
		Close: s.stop,
	}, nil
}

// demoCommand is this program again, with the demo's server in place of the operator's.
func (a *app) demoCommand(ctx context.Context, dir string, args []string) *exec.Cmd {
	self, err := os.Executable()
	cmd := exec.CommandContext(ctx, self, args...)
	if err != nil {
		cmd.Err = fmt.Errorf("demo: %w", err)
	}
	for _, pair := range a.environ {
		if !strings.HasPrefix(pair, envPrefix) {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, envPrefix+"DATA_DIR="+dir, envPrefix+"DEV=true")
	return cmd
}
