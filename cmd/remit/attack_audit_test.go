package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackAudit plays section 4.18 of the catalogue.
func TestAttackAudit(t *testing.T) {
	playIn(t, map[string]row{"AU1": au1, "AU4": au4, "AU5": au5, "AU6": au6, "AU7": au7, "AU9": au9}, operated(t)...)
}

// operated are the settings of a server that tells its metrics; of a pair, each has an address of its own.
func operated(t *testing.T) []string {
	t.Helper()
	return []string{"REMIT_OPS_LISTEN=" + freeAddress(t)}
}

// metrics is what all instances tell an operator.
func (w *world) metrics(t *testing.T) (all []byte) {
	t.Helper()
	for _, p := range w.all() {
		i := slices.IndexFunc(p.env, func(pair string) bool { return strings.HasPrefix(pair, "REMIT_OPS_LISTEN=") })
		if i < 0 {
			t.Fatal("an instance tells no metrics")
		}
		res, err := blackbox.Get(t.Context(), "http://"+strings.TrimPrefix(p.env[i], "REMIT_OPS_LISTEN=")+"/metrics")
		if err != nil || res.Status != http.StatusOK {
			t.Fatalf("metrics: %v %s", err, res)
		}
		all = append(all, res.Body...)
	}
	return all
}

// logs is what all instances wrote.
func (w *world) logs() (all string) {
	for _, p := range w.all() {
		all += p.log.String()
	}
	return all
}

// au1: one record for each action, which says who, what, where and by which checks.
func au1(t *testing.T, w *world) {
	before := time.Now()
	f := w.token(t)
	w.works(t, f)
	denied(t, w.call(t, f, "get_ticket", blackbox.Object{"project": "OPS", "id": "OPS-1"}), http.StatusForbidden, "argument_limit")
	named := map[string]string{"token.issued": f.RequestID}
	must(t, f, (*blackbox.Flow).Refresh)
	named["token.refreshed"] = f.RequestID
	w.revoke(t, f.ClientID, f.RefreshToken())
	w.story(t, f.TaskID(), func(e entry) bool { return e.Kind == "task.ended" })
	story := w.story(t, f.TaskID(), refusedCall("get_ticket", "argument_limit"))
	counts, places := map[string]int{}, map[string]bool{}
	for _, e := range story {
		counts[e.Kind]++
		place := fmt.Sprint(e.Instance, " ", e.N)
		if e.Instance == "" || e.N < 1 || places[place] || e.At.Before(before.Truncate(time.Second)) || e.At.After(time.Now().Add(time.Second)) {
			t.Errorf("%s does not say when and by which instance: %+v", e.Kind, e)
		}
		places[place] = true
		if e.Task != f.TaskID() || e.User == "" || e.Client != w.a {
			t.Errorf("%s does not say who: %+v", e.Kind, e)
		}
		if want := named[e.Kind]; !strings.HasPrefix(e.Request, "req_") || want != "" && e.Request != want {
			t.Errorf("%s does not say for which request, want %q: %+v", e.Kind, want, e)
		}
		if e.Kind == "execution.decided" && (e.Agent != f.Key.JKT() || e.Resource != w.r1.URL || e.JTI == "" || e.Execution == "" || e.text("tool") != "get_ticket" || e.text("arguments_digest") == "" || e.text("policy") == "" || e.text("decision") == "") {
			t.Errorf("%s does not say what: %+v", e.Kind, e)
		}
	}
	for kind, n := range map[string]int{"consent.allowed": 1, "task.created": 1, "token.issued": 1, "token.refreshed": 1, "execution.decided": 2, "task.ended": 1} {
		if counts[kind] != n {
			t.Errorf("%d records %s, want %d; all: %v", counts[kind], kind, n, counts)
		}
	}
	jot(t, "one record each: who, which key, what, where, by which policy, how decided, when, by which instance, for which request")
}

// au4: what is secret is nowhere in what the server writes.
func au4(t *testing.T, w *world) {
	f := w.token(t)
	w.works(t, f)
	old := f.RefreshToken()
	must(t, f, (*blackbox.Flow).Refresh)
	id, secret := w.secretClient(t, "Canary", "authorization_code")
	argument := "canary-" + blackbox.Random(16)
	w.call(t, f, "add_comment", blackbox.Object{"project": "WEB", "id": "WEB-118", "text": argument})
	mustPost(t, w.server.Token, blackbox.Form{{Name: "grant_type", Value: "authorization_code"}, {Name: "client_id", Value: id}, {Name: "client_secret", Value: secret}, {Name: "code", Value: "rc_x"}})
	places := map[string][]byte{"database": w.database(t), "log": []byte(w.logs()), "metrics": w.metrics(t), "ledger": w.admin(t, "/admin/api/audit/records?limit=10000")}
	canaries := map[string]string{
		"access token": f.Access(), "refresh token": f.RefreshToken(), "former refresh token": old, "code": f.Code, "verifier": f.Verifier, "client secret": secret,
		"password": w.mara.Password, "argument": argument, "pushed request": f.RequestURI,
	}
	for _, cookie := range strings.Split(w.mara.Cookies(), "; ") {
		name, value, _ := strings.Cut(cookie, "=")
		canaries["cookie "+name] = value
	}
	for place, content := range places {
		for name, canary := range canaries {
			if canary == "" || bytes.Contains(content, []byte(canary)) {
				t.Errorf("the %s holds the %s", place, name)
			}
		}
	}
	jot(t, "none in database, log, metrics, ledger")
}

// au5: no text forges a line.
func au5(t *testing.T, w *world) {
	const forged = "x\n{\"forged\":true}\r\n\x1b[2Jy"
	f := w.token(t)
	for _, form := range []blackbox.Form{
		f.RefreshForm().Set("client_id", forged), f.RefreshForm().Set("refresh_token", forged), f.RefreshForm().Set("grant_type", forged),
		{{Name: "client_id", Value: w.a}, {Name: "token", Value: forged}},
	} {
		for _, address := range []string{w.server.Token, w.server.PAR, w.server.Revoke} {
			sane(t, mustPost(t, address, form, blackbox.Header{Name: "User-Agent", Value: "x \x1b[2J"}))
		}
	}
	w.call(t, f, "get_ticket", blackbox.Object{"project": forged, "id": forged})
	w.call(t, f, forged, blackbox.Object{})
	g := w.flow()
	details := blackbox.Object{"type": "mcp_task", "purpose": "Tidy up", "max_duration": 1800}
	g.Details = "[" + details.JSON() + "," + blackbox.Object{"type": "mcp_tool", "locations": []string{w.r1.URL}, "tool": forged}.JSON() + "]"
	if err := g.Push(t.Context()); err == nil {
		t.Error("a tool of that name was asked for")
	}
	w.story(t, f.TaskID(), func(e entry) bool { return e.Kind == "execution.decided" })
	records := w.admin(t, "/admin/api/audit/records?limit=10000")
	for line := range bytes.SplitSeq(bytes.TrimSpace(records), []byte("\n")) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil || r["kind"] == nil || r["forged"] != nil {
			t.Fatalf("a line that is no record: %v %q", err, line)
		}
	}
	for place, text := range map[string][]byte{"ledger": records, "log": []byte(w.logs())} {
		if bytes.Contains(text, []byte("\x1b")) || bytes.Contains(text, []byte("\n{\"forged\"")) {
			t.Errorf("the %s was written to by a stranger", place)
		}
	}
	jot(t, "one line each, escaped")
	w.works(t, f)
}

// au6: what all instances write at once is one chain, without a gap.
func au6(t *testing.T, w *world) {
	flows := make([]*blackbox.Flow, racers)
	for i := range flows {
		flows[i] = w.token(t)
	}
	rounds := (size("AU6")*len(w.all()) + racers - 1) / racers
	for range rounds {
		together(t, func(i int) (blackbox.Response, error) {
			err := flows[i].Refresh(t.Context())
			return blackbox.Response{}, err
		})
	}
	last := flows[racers-1]
	w.story(t, last.TaskID(), func(e entry) bool { return e.Kind == "token.refreshed" })
	ours := map[string]bool{}
	for _, f := range flows {
		ours[f.TaskID()] = true
	}
	n, newest := 0, int64(0)
	eventually(t, blackbox.Timeout, "all are in the chain", func() bool {
		w.records(t, "", newest, func(e entry) {
			if newest++; e.Seq != newest {
				t.Fatalf("record %d where %d should be", e.Seq, newest)
			}
			n += btoi(e.Kind == "token.refreshed" && ours[e.Task])
		})
		return n == rounds*racers
	})
	jot(t, "no gap, one chain")
}

// au7: who has the database, and not its owner's rights to change what guards it, changes no record.
func au7(t *testing.T, w *world) {
	for name, statement := range map[string]string{
		"delete": "DELETE FROM ledger WHERE seq = 1", "edit": "UPDATE ledger SET kind = 'x' WHERE seq = 1", "payload": "UPDATE ledger SET payload = '{}' WHERE seq = 1", "move": "UPDATE ledger SET seq = 999999 WHERE seq = 1",
		"checkpoint": "DELETE FROM checkpoints",
	} {
		if err := w.try(statement); err == nil {
			t.Errorf("%s was done", name)
		} else if strings.Contains(err.Error(), "no such") || strings.Contains(err.Error(), "does not exist") {
			t.Errorf("%s: %v", name, err)
		}
		jot(t, "refused by the database: "+name)
	}
	w.works(t, w.token(t))
	at := w.sees(t, w.person(t, "chief", "admin"), "/admin/keys")
	for _, form := range at.Page.Forms {
		if strings.Contains(form.Action, "ledger") || strings.Contains(form.Action, "audit") {
			t.Errorf("the console offers to change the ledger: %s", form.Action)
		}
	}
}

// au9: an argument however long leaves its digest, and does not stop the record.
func au9(t *testing.T, w *world) {
	f := w.token(t)
	long := strings.Repeat("a", 900<<10)
	w.call(t, f, "add_comment", blackbox.Object{"project": "WEB", "id": "WEB-118", "text": long})
	story := w.story(t, f.TaskID(), func(e entry) bool { return e.Kind == "execution.decided" && e.text("tool") == "add_comment" })
	for _, e := range story {
		if raw, _ := json.Marshal(e); len(raw) > 8<<10 || e.Kind == "execution.decided" && e.text("arguments_digest") == "" {
			t.Errorf("a record of %d bytes: %.300s", len(raw), raw)
		}
	}
	jot(t, "900 kB: the digest is recorded")
	res := w.call(t, f, "add_comment", blackbox.Object{"project": "WEB", "id": "WEB-118", "text": strings.Repeat(long, 11)})
	if seen(t, res); res.Status != http.StatusRequestEntityTooLarge && res.Status != http.StatusBadRequest {
		t.Errorf("10 MB: %s", res)
	}
	w.works(t, f)
}

// TestAttackAU3: whatever is done to the database of a stopped server, `remit audit verify` finds it.
func TestAttackAU3(t *testing.T) {
	t.Parallel()
	plays(t)
	w := newWorld(t)
	for range 3 {
		w.works(t, w.token(t))
	}
	w.rows(t)
	eventually(t, 2*blackbox.Timeout, "a Guard keeps a checkpoint of the newest records", func() bool {
		kept, err := os.ReadFile(filepath.Join(w.r1.state, "witness.jsonl"))
		lines := bytes.Split(bytes.TrimSpace(kept), []byte("\n"))
		var newest struct{ Size int64 }
		return err == nil && json.Unmarshal(lines[len(lines)-1], &newest) == nil && newest.Size >= w.seq
	})
	for _, r := range []*protected{w.r1, w.r2} {
		r.guard.Close()
	}
	for _, p := range w.all() {
		p.stop(t)
	}
	verify := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"audit", "verify"}, args...)...)
		cmd.Env = w.environ()
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	witness := []string{"--witness", filepath.Join(w.r1.state, "witness.jsonl")}
	if out, err := verify(witness...); err != nil {
		t.Fatalf("before anybody touched it: %v %s", err, out)
	}
	restore := w.keeps(t)
	for name, statement := range map[string]string{
		"edit":     `UPDATE ledger SET payload = replace(payload, '"', '" ') WHERE seq = 5`,
		"kind":     `UPDATE ledger SET kind = 'task.x' WHERE seq = 5`,
		"delete":   `DELETE FROM ledger WHERE seq = 5`,
		"move":     `UPDATE ledger SET seq = 1000000 WHERE seq = 5`,
		"replace":  `UPDATE ledger SET payload = (SELECT payload FROM ledger WHERE seq = 6) WHERE seq = 5`,
		"hash":     `UPDATE ledger SET hash = (SELECT hash FROM ledger WHERE seq = 6) WHERE seq = 5`,
		"truncate": `DELETE FROM ledger WHERE seq > 5; DELETE FROM checkpoints`,
		"time":     `UPDATE ledger SET at = at + 1 WHERE seq = 5`,
		"seal":     `UPDATE checkpoints SET signed = replace(signed, '.', '.x')`,
	} {
		if err := w.try(w.below(t, statement)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out, err := verify(witness...)
		if err == nil {
			t.Errorf("%s was not found: %s", name, out)
		}
		jot(t, "found: "+name)
		restore()
	}
	if out, err := verify(witness...); err != nil {
		t.Errorf("after all is as it was: %v %s", err, out)
	}
	for _, p := range w.all() {
		p.start(t)
	}
}

// keeps copies the ledger of a stopped server, and returns what puts it back.
func (w *world) keeps(t *testing.T) (restore func()) {
	t.Helper()
	if w.databaseURL() == "" {
		file := filepath.Join(w.dir, "remit.db")
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			for _, suffix := range []string{"-wal", "-shm"} {
				_ = os.Remove(file + suffix)
			}
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var back string
	for _, table := range []string{"ledger", "checkpoints"} {
		w.behind(t, fmt.Sprintf("CREATE TABLE kept_%[1]s AS TABLE %[1]s", table))
		back += fmt.Sprintf("DELETE FROM %[1]s; INSERT INTO %[1]s OVERRIDING SYSTEM VALUE SELECT * FROM kept_%[1]s; ", table)
	}
	return func() {
		if err := w.try(w.below(t, back)); err != nil {
			t.Fatal(err)
		}
	}
}
