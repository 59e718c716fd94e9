package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// Where the two servers listen when nobody else does.
const (
	preferredAS      = "8080"
	preferredTickets = "8090"
)

// scene is the stage and what stands on it.
type scene struct {
	Options
	say      *narrator
	password string
	checks   int // of the script

	dir      string
	issuer   string
	world    World
	desk     *desk
	mcpURL   string
	clientID string
	guard    *resource.Guard
	tickets  *http.Server
	agent    *assistant

	decided int // calls of the agent that the Guard decided on
}

// set starts the servers and fills them.
func (s *scene) set(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "remit-demo-"); err != nil {
		return err
	}
	listen, err := listenLoopback(preferredAS)
	if err != nil {
		return err
	}
	s.issuer = "http://localhost:" + port(listen)
	if s.world, err = s.Start(ctx, s.dir, s.issuer, listen); err != nil {
		listen.Close()
		return fmt.Errorf("authorization server: %w", err)
	}
	if err := s.openDesk(ctx); err != nil {
		return fmt.Errorf("tickets: %w", err)
	}
	if s.agent, err = newAssistant(); err != nil {
		return err
	}
	client, err := json.Marshal(map[string]any{
		"client_name": "Demo Agent", "redirect_uris": []string{registered}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		"application_type": "native", "dpop_bound_access_tokens": true,
	})
	if err != nil {
		return err
	}
	s.clientID, err = s.world.AddClient(ctx, client)
	return err
}

// openDesk registers the MCP server as a resource, puts a Guard before it, and serves it.
func (s *scene) openDesk(ctx context.Context) error {
	listen, err := listenLoopback(preferredTickets)
	if err != nil {
		return err
	}
	s.desk = newDesk()
	server := ticketsServer(s.desk, "1.0.0")
	s.mcpURL = "http://localhost:" + port(listen) + "/mcp"
	tools, err := mcpauth.Tools(server)(ctx)
	if err != nil {
		return errors.Join(err, listen.Close())
	}
	code, err := s.world.AddResource(ctx, Resource{URI: s.mcpURL, Name: "Tickets", Policy: ticketsPolicy, Tools: tools, DefaultOn: []string{"add_comment"}})
	if err != nil {
		return errors.Join(err, listen.Close())
	}
	if err := s.world.AddUser(ctx, User{Email: maraEmail, Name: maraName, Password: s.password}); err != nil {
		return errors.Join(err, listen.Close())
	}
	if err := s.world.AssignRole(ctx, maraEmail, s.mcpURL, "admin"); err != nil {
		return errors.Join(err, listen.Close())
	}
	s.guard, err = resource.New(ctx, resource.Config{
		Issuer: s.issuer, Resource: s.mcpURL, StateDir: filepath.Join(s.dir, "tickets"), EnrolmentCode: code,
		Policy: ticketsPolicy, Tools: mcpauth.Tools(server), Name: "Tickets", InsecureHTTP: true,
	})
	if err != nil {
		return errors.Join(err, listen.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcpauth.Protect(s.guard, server, nil))
	mux.Handle("/.well-known/", s.guard.Metadata())
	s.tickets = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go s.tickets.Serve(listen)
	return s.guard.Ready(ctx)
}

// strike takes the stage down in the opposite order, and removes its files.
func (s *scene) strike() error {
	var errs []error
	if s.agent != nil {
		s.agent.close()
	}
	if s.tickets != nil {
		s.tickets.Close()
	}
	if s.guard != nil {
		errs = append(errs, s.guard.Close())
	}
	if s.world.Close != nil {
		errs = append(errs, s.world.Close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// listenLoopback takes the preferred port, or any free one when it is taken. Browsers try both
// loopback addresses for "localhost", so a port counts as free only when nobody has it on either.
func listenLoopback(preferred string) (net.Listener, error) {
	if other, err := net.Listen("tcp6", "[::1]:"+preferred); err == nil {
		other.Close()
	} else if !noIPv6() {
		preferred = "0"
	}
	l, err := net.Listen("tcp4", "127.0.0.1:"+preferred)
	if err != nil && preferred != "0" {
		l, err = net.Listen("tcp4", "127.0.0.1:0")
	}
	return l, err
}

// noIPv6 reports whether this machine has no IPv6 loopback at all.
func noIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return true
	}
	l.Close()
	return false
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String()) // of a TCP listener it always parses
	return p
}
