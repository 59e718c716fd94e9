package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// gatewayProcess is a running `remit gateway`.
type gatewayProcess struct {
	cmd *exec.Cmd
	log journal
}

// newGatewayWorld is a server with Mara and client A, whose first resource is at this URI.
func newGatewayWorld(t *testing.T, uri string) *world {
	t.Helper()
	w := &world{process: serve(t, ""), mara: &blackbox.Browser{Email: "mara@acme.example", Password: blackbox.Random(12)}}
	var err error
	if w.server, err = blackbox.Discover(t.Context(), w.issuer); err != nil {
		t.Fatal(err)
	}
	w.remit(t, nil, w.mara.Password+"\n", "user", "add", "--email", w.mara.Email, "--name", "Mara", "--password-stdin")
	w.a = w.client(t, "Agent A", map[string]any{
		"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}, "redirect_uris": []string{redirectA},
	})
	w.r1 = &protected{Tools: &blackbox.Tools{URL: uri}}
	return w
}

// register adds the resource and returns its enrolment code.
func (w *world) register(t *testing.T, policy []byte, tools any, role string) string {
	t.Helper()
	file, err := json.Marshal(map[string]any{"uri": w.r1.URL, "name": "Behind the gateway", "policy": string(policy), "tools": tools})
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Code string `json:"enrolment_code"`
	}
	w.remit(t, &out, string(file), "resource", "add", "-")
	w.remit(t, nil, "", "user", "assign", "--email", w.mara.Email, "--resource", w.r1.URL, "--role", role)
	return out.Code
}

// gateway runs `remit gateway` with this configuration until the test ends. Then it ends as it should.
func (w *world) gateway(t *testing.T, config string, policy []byte, env ...string) *gatewayProcess {
	t.Helper()
	dir := shortDir(t)
	for name, text := range map[string]string{"gateway.yaml": config, "policy.yaml": string(policy)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := &gatewayProcess{cmd: exec.Command(binary, "gateway", filepath.Join(dir, "gateway.yaml"))}
	g.cmd.Env, g.cmd.Stdout, g.cmd.Stderr = append(os.Environ(), env...), &g.log, &g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := g.cmd.Wait(); err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.log.String())
		}
	})
	eventually(t, 20*time.Second, "the gateway hears the server", func() bool {
		res, err := w.r1.Post(t.Context(), "ping", "", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
		return err == nil && res.Status == http.StatusUnauthorized
	})
	return g
}

// called calls a tool through the gateway, waiting for a fresh view of what has ended.
func (w *world) called(t *testing.T, f *blackbox.Flow, tool string, arguments blackbox.Object) (res blackbox.Response) {
	t.Helper()
	eventually(t, 20*time.Second, "the gateway is ready", func() bool {
		var err error
		res, err = w.r1.Call(t.Context(), f.Key, f.Access(), tool, arguments)
		return err == nil && res.Status != http.StatusServiceUnavailable
	})
	return res
}

// ends ends the task and waits until the gateway refuses it.
func (w *world) ends(t *testing.T, f *blackbox.Flow, tool string, arguments blackbox.Object) {
	t.Helper()
	w.remit(t, nil, "", "task", "end", f.TaskID(), "--reason", "the test is over")
	eventually(t, 2*time.Second, "the gateway refuses the ended task", func() bool {
		res, err := w.r1.Call(t.Context(), f.Key, f.Access(), tool, arguments)
		return err == nil && res.Status == http.StatusUnauthorized && blackbox.Denial(res)["code"] == "task_ended"
	})
}

func TestGateway(t *testing.T) {
	t.Parallel()
	listen := freeAddress(t)
	w := newGatewayWorld(t, "http://"+listen+"/tickets")
	server, policy := demo.NewTickets()
	tools, err := mcpauth.Tools(server)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan http.Header, 100)
	sdk := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Name") != "" {
			seen <- r.Header.Clone()
		}
		sdk.ServeHTTP(rw, r)
	}))
	t.Cleanup(upstream.Close)
	code := w.register(t, policy, tools, "admin")
	w.gateway(t, `
listen: `+listen+`
dev: true
issuer: `+w.issuer+`
upstreams:
  - resource: `+w.r1.URL+`
    name: Tickets
    policy: policy.yaml
    state_dir: state
    enrolment_code_env: TICKETS_CODE
    url: `+upstream.URL+`
`, policy, "TICKETS_CODE="+code)

	f := w.token(t)
	if res := w.called(t, f, "get_ticket", readArguments); res.Status != http.StatusOK || blackbox.Answer(res)["result"] == nil {
		t.Errorf("a good call: %s", res)
	}
	h := <-seen
	for name := range h {
		if strings.Contains(strings.Join(h[name], " "), f.Access()) || name == "Dpop" || name == "Authorization" {
			t.Errorf("the server gets %s", name)
		}
	}
	if res := w.called(t, f, "delete_ticket", readArguments); res.Status != http.StatusForbidden {
		t.Errorf("a tool that was not granted: %s", res)
	}
	if res := w.called(t, f, "get_ticket", blackbox.Object{"project": "OPS", "id": "OPS-007"}); res.Status != http.StatusForbidden {
		t.Errorf("an argument that was not granted: %s", res)
	}
	res, err := w.r1.Post(t.Context(), "tools/list", "", blackbox.ListBody(), blackbox.Header{Name: "Authorization", Value: "DPoP " + f.Access()}, blackbox.DPoP(w.r1.Proof(f.Key, f.Access())))
	if list := string(res.Body); err != nil || !strings.Contains(list, "get_ticket") || strings.Contains(list, "delete_ticket") {
		t.Errorf("tools/list: %v %s", err, res)
	}
	if len(seen) > 0 {
		t.Error("a refused call reached the server")
	}
	w.ends(t, f, "get_ticket", readArguments)
}

func TestGatewayFileRefused(t *testing.T) {
	good := "listen: 127.0.0.1:0\ndev: true\nissuer: http://localhost:8080\nupstreams: [{resource: 'http://localhost:9/mcp', policy: policy.yaml, state_dir: state, url: 'http://127.0.0.1:1'}]\n"
	for name, one := range map[string]struct{ old, new, says string }{
		"an unknown key":     {"dev: true", "develop: true", "develop"},
		"no port":            {"127.0.0.1:0", "127.0.0.1", "not host:port"},
		"dev on all":         {"127.0.0.1:0", "0.0.0.0:0", "loopback alone"},
		"plain http on all":  {"127.0.0.1:0\ndev: true", "0.0.0.0:0", "behind_proxy"},
		"a key of no use":    {"url: 'http://127.0.0.1:1'", "url: 'http://127.0.0.1:1', env: {A: b}", "for a command"},
		"no policy":          {"policy: policy.yaml, ", "", "policy is missing"},
		"no issuer":          {"issuer: http://localhost:8080\n", "", "issuer is missing"},
		"no upstream at all": {good[strings.Index(good, "upstreams"):], "", "at least one"},
		"half of TLS":        {"dev: true", "tls: {cert: c.pem}", "both cert and key"},
		"a poll of no time":  {"state_dir: state", "state_dir: state, poll: 5", "no duration"},
		"two enrolments":     {"state_dir: state", "state_dir: state, enrolment_code_env: A, enrolment_code_file: b", "not both"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gateway.yaml")
			text := strings.Replace(good, one.old, one.new, 1)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), binary, "gateway", path).CombinedOutput()
			if err == nil || !strings.Contains(string(out), one.says) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
