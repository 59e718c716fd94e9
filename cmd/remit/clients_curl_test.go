//go:build clients

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// terminal runs curl as somebody at a terminal would, and writes what is typed and what is seen.
type terminal struct {
	*transcript
	t *testing.T
}

// shown are the headers that the transcript keeps: the others are the transport's.
var shown = []string{"Content-Type", "Cache-Control", "Www-Authenticate", "Location", "Retry-After"}

// curl runs the command and returns the answer.
func (s *terminal) curl(args ...string) blackbox.Response {
	s.t.Helper()
	var typed strings.Builder
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") && i > 0 && arg != "-" {
			typed.WriteString(" \\\n   ")
		}
		typed.WriteString(" " + quoted(arg))
	}
	s.write("$ curl -i%s", typed.String())
	cmd := exec.CommandContext(s.t.Context(), "curl", append([]string{"--silent", "--show-error", "--max-time", "20", "-i"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("curl: %v %s", err, stderr.Bytes())
	}
	raw, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil)
	if err != nil {
		s.t.Fatalf("curl's output: %v\n%s", err, out)
	}
	defer raw.Body.Close()
	_, body, _ := bytes.Cut(out, []byte("\r\n\r\n"))
	s.write("HTTP/1.1 %s", raw.Status)
	for _, name := range shown {
		for _, value := range raw.Header.Values(name) {
			s.write("%s: %s", strings.Replace(name, "Www", "WWW", 1), value)
		}
	}
	if len(body) > 0 {
		s.write("\n%s", pretty(body))
	}
	s.write("")
	return blackbox.Response{Status: raw.StatusCode, Header: raw.Header, Body: body}
}

// quoted is the argument as a shell wants it.
func quoted(arg string) string {
	if strings.ContainsAny(arg, " &{}\"?") {
		return "'" + arg + "'"
	}
	return arg
}

// short are the lists and objects that hold no other: they get one line.
var short = regexp.MustCompile(`[\[{]\s+[^\[\]{}]{1,150}\s+[\]}]`)

// pretty indents JSON.
func pretty(body []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(body), "", "  ") != nil {
		return strings.TrimSpace(string(body))
	}
	return short.ReplaceAllStringFunc(out.String(), func(s string) string { return strings.Join(strings.Fields(s), " ") })
}

// jsonAnswers spares the reader of the transcript the event streams.
var jsonAnswers = &mcp.StreamableHTTPOptions{JSONResponse: true}

func TestCurl(t *testing.T) {
	t.Parallel()
	w, text := newClientWorld(t, &mcpauth.Options{HTTP: jsonAnswers})
	s := &terminal{text, t}
	id := w.bearerClient(t, "curl", "http://127.0.0.1/callback")
	rpc := func(token, body string) blackbox.Response {
		args := []string{w.r1.URL, "-H", "Accept: application/json, text/event-stream", "-H", "Content-Type: application/json"}
		if token != "" {
			args = append(args, "-H", "Authorization: Bearer "+token)
		}
		return s.curl(append(args, "-d", body)...)
	}
	const read = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_ticket","arguments":{"project":"WEB","id":"WEB-118"}}}`

	s.write("# Ask the MCP server; it says where its metadata is.")
	s.wants(rpc("", read), http.StatusUnauthorized)
	s.write("# Its metadata names the authorization server, whose metadata name its endpoints.")
	s.wants(s.curl(strings.TrimSuffix(w.r1.URL, "/mcp")+"/.well-known/oauth-protected-resource/mcp"), http.StatusOK)
	s.wants(s.curl(w.issuer+"/.well-known/oauth-authorization-server"), http.StatusOK)

	verifier := blackbox.Random(32)
	s.as(verifier, "$VERIFIER")
	query := url.Values{
		"client_id": {id}, "response_type": {"code"}, "redirect_uri": {"http://127.0.0.1:49152/callback"}, "resource": {w.r1.URL},
		"code_challenge": {blackbox.Digest(verifier)}, "code_challenge_method": {"S256"}, "state": {blackbox.Random(8)}, "scope": {"tickets.read"},
	}
	authorize := w.server.Authorize + "?" + query.Encode()
	s.write("# Nobody is signed in: the answer is the page to sign in. The rest is for a browser.")
	if res := s.curlHead(authorize); res.Status != http.StatusOK {
		t.Errorf("authorize: %s", res)
	}
	at, err := w.mara.Consent(t.Context(), authorize, blackbox.Choice{})
	if err != nil || at.Query("code") == "" || at.Query("iss") != w.issuer {
		t.Fatalf("consent: %v %s", err, at.Response)
	}
	s.write("# Mara signs in there, reads what is asked, and allows it. Her browser goes to")
	s.write("#   %s\n", at.URL)
	redeem := []string{
		w.server.Token, "-d", "grant_type=authorization_code", "-d", "client_id=" + id, "-d", "code=" + at.Query("code"), "-d", "code_verifier=" + verifier,
		"--data-urlencode", "redirect_uri=http://127.0.0.1:49152/callback", "--data-urlencode", "resource=" + w.r1.URL,
	}
	issued := s.curl(redeem...)
	s.wants(issued, http.StatusOK)
	token := issued.Text("access_token")
	s.write("# The token calls what reads, and nothing else.")
	s.wants(rpc(token, read), http.StatusOK)
	s.wants(rpc(token, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_ticket","arguments":{"project":"WEB","id":"WEB-118"}}}`), http.StatusForbidden)
	refresh := []string{w.server.Token, "-d", "grant_type=refresh_token", "-d", "client_id=" + id, "-d"}
	again := s.curl(append(refresh, "refresh_token="+issued.Text("refresh_token"))...)
	s.wants(again, http.StatusOK)
	s.write("# Done: the agent completes its task, and everything that was issued for it is dead.")
	s.wants(s.curl(w.issuer+"/tasks/"+issued.Text("task_id")+"/complete", "-d", "client_id="+id, "-d", "refresh_token="+again.Text("refresh_token")), http.StatusOK)
	eventually(t, 2*time.Second, "the Guard refuses the ended task", func() bool {
		res, err := w.r1.Post(t.Context(), "tools/call", "get_ticket", blackbox.CallBody("get_ticket", aTicket), blackbox.Header{Name: "Authorization", Value: "Bearer " + again.Text("access_token")})
		return err == nil && res.Status == http.StatusUnauthorized
	})
	s.wants(rpc(again.Text("access_token"), read), http.StatusUnauthorized)
	s.wants(s.curl(append(refresh, "refresh_token="+again.Text("refresh_token"))...), http.StatusBadRequest)
	s.golden(t, "curl")
}

// curlHead is curl for pages: what it prints ends with the headers.
func (s *terminal) curlHead(address string) blackbox.Response {
	s.t.Helper()
	return s.curl(address, "-o", "/dev/null", "-D", "-")
}

func (s *terminal) wants(res blackbox.Response, status int) {
	s.t.Helper()
	if res.Status != status {
		s.t.Errorf("got %s, want %d", res, status)
	}
}
