package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/tokens/agent"
)

// judgeDiscovery walks from the 401 to the metadata by hand (RFC 9728 §5.1, RFC 8414 §3).
func (s *scene) judgeDiscovery(ctx context.Context) error {
	tools := &blackbox.Tools{URL: s.mcpURL}
	res, err := tools.Post(ctx, "tools/list", "", blackbox.ListBody())
	if err != nil {
		return err
	}
	challenges := blackbox.Challenges(res)
	if res.Status != 401 || len(challenges) != 2 || challenges[0].Scheme != "bearer" || challenges[1].Scheme != "dpop" {
		return fmt.Errorf("want 401 with a Bearer and then a DPoP challenge: %s", res)
	}
	doc, err := blackbox.Get(ctx, challenges[0].Params["resource_metadata"])
	if err != nil {
		return err
	}
	servers, _ := doc.JSON()["authorization_servers"].([]any)
	if doc.Status != 200 || doc.Text("resource") != s.mcpURL || len(servers) != 1 || servers[0] != s.issuer {
		return fmt.Errorf("resource metadata: %s", doc)
	}
	_, err = blackbox.Discover(ctx, s.issuer)
	return err
}

// judgePush looks at what the browser is about to carry: the client's id and a handle.
func (s *scene) judgePush(ctx context.Context, r agent.Request) error {
	if !strings.HasPrefix(r.URI, "urn:ietf:params:oauth:request_uri:") {
		return fmt.Errorf("request_uri %q", r.URI)
	}
	server, err := blackbox.Discover(ctx, s.issuer)
	if err != nil {
		return err
	}
	want := server.Authorize + "?" + blackbox.Form{{Name: "client_id", Value: s.clientID}, {Name: "request_uri", Value: r.URI}}.Encode()
	if got := s.agent.client.AuthorizeURL(r); got != want {
		return fmt.Errorf("the browser is sent to %s, want %s", got, want)
	}
	return nil
}

// judgeToken reads the access token by hand and holds it to RFC 9068, RFC 9449 §6.1 and the consent.
func (s *scene) judgeToken(ctx context.Context, t agent.Token) error {
	header, claims, err := blackbox.Decode(t.Access)
	if err != nil {
		return err
	}
	server, err := blackbox.Discover(ctx, s.issuer)
	if err != nil {
		return err
	}
	jwks, err := blackbox.Get(ctx, server.JWKS)
	if err != nil {
		return err
	}
	if err := blackbox.Verify(t.Access, jwks.Body); err != nil {
		return err
	}
	cnf, _ := claims["cnf"].(map[string]any)
	task, _ := claims["task"].(map[string]any)
	iat, _ := claims["iat"].(float64)
	exp, _ := claims["exp"].(float64)
	for name, ok := range map[string]bool{
		"typ": header["typ"] == "at+jwt", "iss": claims["iss"] == s.issuer, "aud": claims["aud"] == s.mcpURL,
		"client_id": claims["client_id"] == s.clientID, "cnf.jkt": cnf["jkt"] == s.agent.key.JKT(), "task.id": task["id"] == t.TaskID,
		"exp": exp > iat && exp-iat <= 300,
	} {
		if !ok {
			return fmt.Errorf("%s of the access token is wrong: %s %s", name, header.JSON(), claims.JSON())
		}
	}
	return judgeDetails(claims["authorization_details"])
}

// judgeDetails compares what the token allows with what was ticked.
func judgeDetails(details any) error {
	list, _ := details.([]any)
	var names []string
	for _, d := range list {
		entry, _ := d.(map[string]any)
		if entry["type"] != "mcp_tool" {
			continue
		}
		name, _ := entry["tool"].(string)
		names = append(names, name)
		constraints, _ := json.Marshal(entry["constraints"])
		definition, _ := entry["definition"].(string)
		if !bytes.Contains(constraints, []byte(`"project":{"const":"WEB"}`)) || !strings.HasPrefix(definition, "sha-256:") {
			return fmt.Errorf("%s is granted without its limit or its definition: %v", name, entry)
		}
	}
	slices.Sort(names)
	if want := slices.Sorted(slices.Values(chosen)); !slices.Equal(names, want) {
		return fmt.Errorf("the token allows %v, want %v", names, want)
	}
	return nil
}

// judgeList compares tools/list with the consent.
func (s *scene) judgeList(ctx context.Context) error {
	var names []string
	for tool, err := range s.agent.tools.Tools(ctx, nil) {
		if err != nil {
			return err
		}
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	if want := slices.Sorted(slices.Values(chosen)); !slices.Equal(names, want) {
		return fmt.Errorf("the agent sees %v, want %v", names, want)
	}
	return nil
}

// judgeDesk looks behind the Guard: one comment, nothing deleted, no mail.
func (s *scene) judgeDesk() error {
	if tickets, comments, mails := s.desk.state("WEB-118"); tickets != 6 || comments != 1 || mails != 0 {
		return fmt.Errorf("%d tickets, %d comments, %d mails; want 6, 1, 0", tickets, comments, mails)
	}
	return nil
}

func judgeTheft(tries []attempt) error {
	want := []string{"invalid_token", "invalid_dpop_proof", "invalid_dpop_proof"}
	if len(tries) != len(want) {
		return fmt.Errorf("%d tries, want %d", len(tries), len(want))
	}
	for i, a := range tries {
		if a.Status != 401 || a.Error != want[i] {
			return fmt.Errorf("%s: %d %s, want 401 %s", a.How, a.Status, a.Error, want[i])
		}
	}
	return nil
}

// judgeDead tries the finished task's token once more, with the agent's own key in other hands.
func (s *scene) judgeDead(ctx context.Context, o outcome) error {
	if o.Status != 401 || o.Error != "invalid_token" || o.Code != "task_ended" {
		return fmt.Errorf("the agent was refused with %s, want 401 invalid_token (task_ended)", o.refusal())
	}
	jwk, err := s.agent.key.Marshal()
	if err != nil {
		return err
	}
	key, err := blackbox.ParseKey(jwk)
	if err != nil {
		return err
	}
	t := s.agent.session.Held()
	tools := &blackbox.Tools{URL: s.mcpURL}
	res, err := tools.Call(ctx, key, t.Access, "get_ticket", blackbox.Object{"project": "WEB", "id": "WEB-118"})
	if err != nil {
		return err
	}
	if res.Status != 401 || !blackbox.Challenged(res, "invalid_token") {
		return fmt.Errorf("token and key of the finished task: %s", res)
	}
	return nil
}

// record is what the scene reads of a line of `remit audit tail --json`.
type record struct {
	Seq     int64          `json:"seq"`
	Kind    string         `json:"kind"`
	Task    string         `json:"task"`
	JTI     string         `json:"jti"`
	Payload map[string]any `json:"payload"`
}

// verdict is what the scene reads of `remit audit verify --json`.
type verdict struct {
	OK      bool   `json:"ok"`
	Records int64  `json:"records"`
	Head    string `json:"head"`
}

// verify runs `remit audit verify`.
func (s *scene) verify(ctx context.Context) (verdict, error) {
	out, err := s.Command(ctx, s.dir, "audit", "verify", "--json").Output()
	var v verdict
	if jerr := json.Unmarshal(out, &v); jerr != nil {
		return v, fmt.Errorf("audit verify: %w", errors.Join(err, jerr))
	}
	return v, nil
}

// tail runs `remit audit tail` and keeps the records of the scene's task.
func (s *scene) tail(ctx context.Context) ([]record, error) {
	out, err := s.Command(ctx, s.dir, "audit", "tail", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("audit tail: %w", err)
	}
	var all []record
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var r record
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("audit tail: %w", err)
		}
		if r.Task == s.agent.session.Held().TaskID {
			all = append(all, r)
		}
	}
	return all, nil
}

// story is what the ledger tells of the scene's task.
type story struct {
	calls           []string // each decision: tool, decision, reason
	allowed, denied int
	finished        int
	end             string // the state that the task ended in
}

func (t story) String() string {
	return fmt.Sprintf("%d calls allowed, %d refused, task %s", t.allowed, t.denied, t.end)
}

// story reads the ledger. Records of the Guard arrive within a second or two, so it asks until
// every call that was decided, and the end, is there.
func (s *scene) story(ctx context.Context) (told story, err error) {
	_, late := within(ctx, 15*time.Second, func() (bool, error) {
		var records []record
		if records, err = s.tail(ctx); err != nil {
			return false, err
		}
		told = read(records)
		return len(told.calls) >= s.decided && told.finished >= told.allowed && told.end != "", nil
	})
	if late != nil && err == nil {
		err = fmt.Errorf("the ledger is incomplete: %s: %w", told, late)
	}
	return told, err
}

// read tells the story of a task's records.
func read(records []record) story {
	told := story{}
	for _, r := range records {
		text := func(name string) string { v, _ := r.Payload[name].(string); return v }
		switch r.Kind {
		case "execution.decided":
			told.calls = append(told.calls, strings.TrimSpace(text("tool")+" "+text("decision")+" "+text("reason")))
			if text("decision") == "allowed" {
				told.allowed++
			} else {
				told.denied++
			}
		case "execution.finished":
			told.finished++
		case "task.ended":
			told.end = text("state")
		}
	}
	return told
}

// judgeLedger compares the ledger with the scene: every call with the decision that was seen from
// outside, the agent's own end, and a chain that holds.
func judgeLedger(v verdict, told story) error {
	if !v.OK || v.Records == 0 || v.Head == "" {
		return fmt.Errorf("audit verify: %+v", v)
	}
	for i, e := range errands {
		want := e.tool + " allowed"
		if e.want != "" {
			want = e.tool + " refused " + e.want
		}
		if told.calls[i] != want {
			return fmt.Errorf("decision %d is %q, want %q", i+1, told.calls[i], want)
		}
	}
	if told.end != "completed" {
		return fmt.Errorf("the end of the task is logged as %q, want completed", told.end)
	}
	return nil
}
