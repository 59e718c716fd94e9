//go:build clients

package main_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/tokens/agent"
)

// sdkModule is where the examples come from: the module cache, in the version that this module needs.
const sdkModule = "github.com/modelcontextprotocol/go-sdk"

// theirHandler is the one statement of an example that changes.
var theirHandler = regexp.MustCompile(`(?s)handler := mcp\.NewStreamableHTTPHandler\(func\(.*?\n\t+\}, nil\)`)

// guarded is the file that is added: what docs/protect-your-server.md says, for any server.
const guarded = `package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

func guarded(server *mcp.Server) http.Handler {
	guard, err := resource.New(context.Background(), resource.Config{
		Issuer: os.Getenv("ISSUER"), Resource: os.Getenv("RESOURCE"), StateDir: "state", PolicyFile: "policy.yaml",
		EnrolmentCode: os.Getenv("CODE"), Tools: mcpauth.Tools(server), InsecureHTTP: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcpauth.Protect(guard, server, nil))
	mux.Handle("/.well-known/", guard.Metadata())
	return mux
}
`

// buildExample copies an example, protects it, and returns the folder and the program.
func buildExample(t *testing.T, path string) (dir, program string) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", sdkModule)
	list.Dir = root
	sdk, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir = shortDir(t)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(strings.TrimSpace(string(sdk)), "examples", path))); err != nil {
		t.Fatal(err)
	}
	main, gomod, gosum := filepath.Join(dir, "main.go"), read(t, filepath.Join(root, "go.mod")), read(t, filepath.Join(root, "go.sum"))
	protected := theirHandler.ReplaceAllString(read(t, main), "handler := guarded(server)")
	if !strings.Contains(protected, "guarded(server)") {
		t.Fatalf("the handler of examples/%s was not found", path)
	}
	gomod = strings.Replace(gomod, "module github.com/remit-auth/remit", "module example", 1) +
		"\nrequire github.com/remit-auth/remit v0.0.0\n\nreplace github.com/remit-auth/remit => " + root + "\n"
	for name, text := range map[string]string{"main.go": protected, "guarded.go": guarded, "go.mod": gomod, "go.sum": gosum} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(dir, "example")
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", program, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOTOOLCHAIN=local")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building examples/%s: %v\n%s", path, err, out)
	}
	return dir, program
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestGoSDKExamples wraps the SDK's own example servers, with one statement of each changed.
func TestGoSDKExamples(t *testing.T) {
	t.Parallel()
	graph := map[string]any{"entities": []any{map[string]any{"name": "Ada", "entityType": "person", "observations": []any{"counts"}}}}
	three := map[string]any{"entities": []any{map[string]any{}, map[string]any{}, map[string]any{}}}
	for _, one := range []struct {
		path         string
		args         func(host, port string) []string
		policy       string
		tools        []string // that Mara lends; the policy's others need the role admin
		tool, admins string
		good, bad    map[string]any // arguments
		answer       string
	}{
		{
			path: "http", args: func(host, port string) []string { return []string{"-host", host, "-port", port, "server"} },
			policy: "user: {tools: {cityTime: {limits: {city: {enum: [nyc, sf]}}}}}\n  admin: {include: [user]}",
			tools:  []string{"cityTime"}, tool: "cityTime",
			good: map[string]any{"city": "sf"}, bad: map[string]any{"city": "boston"}, answer: "San Francisco",
		},
		{
			path: "server/memory", args: func(host, port string) []string { return []string{"-http", net.JoinHostPort(host, port)} },
			policy: "user: {tools: {create_entities: {limits: {entities: {maxItems: 2}}}, read_graph: {}}}\n  admin: {include: [user], tools: {delete_entities: {}}}",
			tools:  []string{"create_entities"}, tool: "create_entities", admins: "delete_entities",
			good: graph, bad: three, answer: "",
		},
		{
			path: "server/everything", args: func(host, port string) []string { return []string{"-http", net.JoinHostPort(host, port)} },
			policy: "user: {tools: {greet: {limits: {name: {maxLength: 5}}}}}\n  admin: {include: [user], tools: {log: {}}}",
			tools:  []string{"greet"}, tool: "greet", admins: "log",
			good: map[string]any{"name": "Ada"}, bad: map[string]any{"name": "Augusta Ada"}, answer: "Hi Ada",
		},
	} {
		t.Run(one.path, func(t *testing.T) {
			t.Parallel()
			dir, program := buildExample(t, filepath.FromSlash(one.path))
			policy := []byte("version: 1\nscopes: {use: {title: \"Use it\", roles: [admin]}}\nroles:\n  " + one.policy + "\n")
			if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), policy, 0o600); err != nil {
				t.Fatal(err)
			}
			listen := freeAddress(t)
			host, port, err := net.SplitHostPort(listen)
			if err != nil {
				t.Fatal(err)
			}
			w := newGatewayWorld(t, "http://"+listen+"/mcp")
			code := w.register(t, policy, []any{}, "user")
			background(t, []string{"ISSUER=" + w.issuer, "RESOURCE=" + w.r1.URL, "CODE=" + code}, slices.Concat([]string{"env", "-C", dir, program}, one.args(host, port))...)
			eventually(t, 20*time.Second, "the example is protected", func() bool {
				res, err := w.r1.Post(t.Context(), "ping", "", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
				return err == nil && res.Status == http.StatusUnauthorized
			})
			for _, tool := range one.tools {
				w.approve(t, w.r1.URL, tool)
			}
			a := w.employ(t, agent.Ask{Scopes: []string{"use"}}, blackbox.Choice{Duration: 1800, Tools: one.tools})
			if got := a.offered(); !slices.Equal(got, one.tools) {
				t.Errorf("the agent is shown %v, want %v", got, one.tools)
			}
			a.runs(one.tool, one.good, one.answer)
			a.refused(one.tool, one.bad, "argument_limit")
			if one.admins != "" {
				a.refused(one.admins, nil, "role")
			}
			a.refused("nowhere", nil, "unknown_tool")
			a.runs(one.tool, one.good, one.answer)
			a.ends(one.tool, one.good)
		})
	}
}
