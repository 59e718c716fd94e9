package resource_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
)

// tickets stands for an MCP server written without an SDK.
var tickets http.Handler

func liveTools(context.Context) ([]json.RawMessage, error) {
	return []json.RawMessage{json.RawMessage(
		`{"name":"get_ticket","description":"Reads a ticket","inputSchema":{"type":"object","properties":{"id":{"type":"string"}}}}`)}, nil
}

// A whole MCP server under a Guard.
func Example() {
	guard, err := resource.New(context.Background(), resource.Config{
		Issuer:        "https://auth.example",
		Resource:      "https://tickets.example/mcp",
		StateDir:      "/var/lib/tickets/remit",
		EnrolmentCode: os.Getenv("REMIT_ENROLMENT_CODE"), // needed the first time
		PolicyFile:    "/etc/tickets/policy.yaml",
		Tools:         liveTools,
		Log:           slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer guard.Close()
	mux := http.NewServeMux()
	mux.Handle("/mcp", guard.Protect(tickets))
	mux.Handle("/.well-known/", guard.Metadata())
	log.Fatal(http.ListenAndServe(":8443", mux))
}

// On one machine, for a demonstration: http is allowed on loopback addresses only.
func ExampleNew() {
	guard, err := resource.New(context.Background(), resource.Config{
		Issuer: "http://localhost:8080", Resource: "http://localhost:9000/mcp", InsecureHTTP: true,
		StateDir: "state", EnrolmentCode: "enrol_…", Tools: liveTools,
		Policy: []byte("version: 1\nscopes: {read: {roles: [reader]}}\nroles: {reader: {tools: {get_ticket: {}}}}"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer guard.Close()
}

// The server behind the Guard knows who calls, and never sees a token.
func ExampleGuard_Protect() {
	var guard *resource.Guard
	http.Handle("/mcp", guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := resource.PrincipalFrom(r.Context())
		fmt.Fprintf(w, "user %s, task %s", p.User, p.Task)
	})))
}

// Clients find the authorization server here (RFC 9728).
func ExampleGuard_Metadata() {
	var guard *resource.Guard
	http.Handle("/.well-known/oauth-protected-resource", guard.Metadata())
	http.Handle("/.well-known/oauth-protected-resource/mcp", guard.Metadata())
}

// A readiness probe: until the Guard hears its authorization server, it answers every call with 503.
func ExampleGuard_Ready() {
	var guard *resource.Guard
	http.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := guard.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}

// A changed policy file is put in force without a restart. With an error in it, the old one stays.
func ExampleGuard_ReloadPolicy() {
	var guard *resource.Guard
	src, err := os.ReadFile("/etc/tickets/policy.yaml")
	if err == nil {
		err = guard.ReloadPolicy(src)
	}
	if err != nil {
		log.Print("the policy was not changed: ", err)
	}
}

// How often each reason led to a refusal, for a metrics page.
func ExampleGuard_Refusals() {
	var guard *resource.Guard
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		for code, n := range guard.Refusals() {
			fmt.Fprintf(w, "refusals_total{code=%q} %d\n", code, n)
		}
	})
}

// On the way out: what was decided is on disk, and is sent after the next start.
func ExampleGuard_Close() {
	var guard *resource.Guard
	if err := guard.Close(); err != nil {
		log.Print(err)
	}
}

// A tool that keeps users apart takes the user from the principal, never from its arguments.
func ExamplePrincipalFrom() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		p, ok := resource.PrincipalFrom(r.Context())
		if !ok {
			http.Error(w, "not under a Guard", http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, p.User, p.Client, p.Roles)
	}
	_ = http.HandlerFunc(handler)
}

// An adapter checks where the tool is really run that it is the call that was allowed, and tells
// how it ended.
func ExamplePermitFrom() {
	run := func(ctx context.Context, tool string, arguments json.RawMessage) error {
		permit, ok := resource.PermitFrom(ctx)
		if !ok || !permit.Use(tool, arguments) {
			return fmt.Errorf("%s was not allowed", tool)
		}
		err := error(nil) // what the tool returns
		permit.SetOutcome(err == nil)
		return err
	}
	_ = run
}

// tools/list shows what the caller could use.
func ExamplePermit_May() {
	visible := func(ctx context.Context, tools []string) (mine []string) {
		permit, ok := resource.PermitFrom(ctx)
		for _, t := range tools {
			if ok && permit.May(ctx, t) {
				mine = append(mine, t)
			}
		}
		return mine
	}
	_ = visible
}
