package resource_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
)

// withFile puts the policy into a file.
func withFile(t *testing.T) (path string, adjust func(*resource.Config)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "policy.yaml")
	put(t, path, ticketsPolicy)
	return path, func(c *resource.Config) { c.Policy, c.PolicyFile = nil, path }
}

// put replaces a file as editors do.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestPolicyFileIsTakenUp(t *testing.T) {
	path, adjust := withFile(t)
	w := newWorld(t, adjust)
	before := w.guard.PolicyStatus()
	token := w.token(reader())
	narrower := strings.Replace(ticketsPolicy, "maximum: 50", "maximum: 2", 1)
	put(t, path, narrower)
	w.guard.LookAtPolicy()
	w.wants(w.call(token, "search_tickets", web), http.StatusForbidden, resource.ArgumentLimit)
	w.eventually("the new policy at the issuer", func() bool { published, _ := w.issuer.Manifest(w.uri); return published == narrower })
	if s := w.guard.PolicyStatus(); s.Err != nil || s.Version == before.Version {
		t.Errorf("%+v", s)
	}
	for name, bad := range map[string]string{
		"no YAML": "version: [", "an unknown role": "version: 1\nroles: {r: {include: [x]}}", "nothing": "", "an unknown key": narrower + "\nmore: 1",
	} {
		put(t, path, bad)
		w.guard.LookAtPolicy()
		if s := w.guard.PolicyStatus(); s.Err == nil {
			t.Errorf("%s: the status says that all is well", name)
		}
		w.wants(w.call(token, "search_tickets", web), http.StatusForbidden, resource.ArgumentLimit)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := w.guard.Reload(); err == nil || w.guard.PolicyStatus().Err == nil {
		t.Error("a file that is gone is no error")
	}
	put(t, path, ticketsPolicy)
	w.guard.LookAtPolicy()
	if s := w.guard.PolicyStatus(); s.Err != nil || s.Version != before.Version {
		t.Errorf("%+v", s)
	}
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.eventually("the old policy at the issuer", func() bool { published, _ := w.issuer.Manifest(w.uri); return published == ticketsPolicy })
}

// TestPolicyFileHalfWritten: a policy that is being written where it stands is not put in force before
// it is whole, though its first half is a policy, and a broader one.
func TestPolicyFileHalfWritten(t *testing.T) {
	path, adjust := withFile(t)
	w := newWorld(t, adjust)
	token := w.token(reader())
	half := "version: 1\nbaseline: [tickets.read]\nscopes:\n  tickets.read: {roles: [agent]}\nroles:\n  agent:\n    tools:\n      search_tickets:\n"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	much := map[string]any{"project": "WEB", "limit": 51}
	write(half)
	w.guard.GlanceAtPolicy()
	w.wants(w.call(token, "search_tickets", much), http.StatusForbidden, resource.ArgumentLimit)
	write(half + "        limits: {limit: {maximum: 50}}\n")
	w.guard.GlanceAtPolicy()
	w.guard.GlanceAtPolicy()
	w.wants(w.call(token, "search_tickets", much), http.StatusForbidden, resource.ArgumentLimit)
	if s := w.guard.PolicyStatus(); s.Err != nil || s.Version != tokens.HashBytes([]byte(half+"        limits: {limit: {maximum: 50}}\n")) {
		t.Errorf("the whole policy is not in force: %+v", s)
	}
	w.good()
}

// TestReloadUnderLoad: every decision is by exactly one version of the policy, and its record says by
// which. The two versions allow and refuse the opposite of each other.
func TestReloadUnderLoad(t *testing.T) {
	path, adjust := withFile(t)
	w := newWorld(t, adjust)
	small := strings.Replace(ticketsPolicy, "limit: {maximum: 50}", "limit: {maximum: 2}", 1)
	large := strings.Replace(ticketsPolicy, "limit: {maximum: 50}", "limit: {minimum: 3}", 1)
	put(t, path, small)
	w.guard.LookAtPolicy()
	versions := map[string]string{tokens.HashBytes([]byte(small)): "small", tokens.HashBytes([]byte(large)): "large"}
	const callers, each = 4, 30
	stop := make(chan struct{})
	var load, loader sync.WaitGroup
	loader.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			put(t, path, []string{large, small}[i%2])
			w.guard.LookAtPolicy()
		}
	})
	for i := range callers {
		token := w.token(reader())
		load.Go(func() {
			for n := range each {
				limit := 1 + 4*((i+n)%2)
				if a := w.call(token, "search_tickets", map[string]any{"project": "WEB", "limit": limit}); a.status != http.StatusOK && a.status != http.StatusForbidden {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	load.Wait()
	close(stop)
	loader.Wait()
	small1 := tokens.HashBytes([]byte(`{"limit":1,"project":"WEB"}`))
	allowed, seen := 0, map[string]int{}
	w.eventually("the records", func() bool {
		allowed, seen = 0, map[string]int{}
		for _, e := range w.issuer.Executions(w.uri, 1) {
			if e.Kind != "execution.decided" {
				continue
			}
			version := versions[e.Policy]
			seen[version]++
			if e.Decision == "allowed" {
				allowed++
				if (e.Arguments == small1) != (version == "small") {
					t.Fatalf("allowed by another version than it is recorded with: %+v", e)
				}
			}
		}
		return allowed > 0 && int64(allowed) >= callers*each-w.guard.Refusals()[resource.ArgumentLimit]
	})
	if seen[""] > 0 || allowed == 0 {
		t.Errorf("versions %v", seen)
	}
}
