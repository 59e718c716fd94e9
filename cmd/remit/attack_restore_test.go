package main_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// highWater is how many records a server's own note says that there are.
func (p *process) highWater(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.dir, "highwater.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	var mark struct{ Size int64 }
	if err == nil {
		err = json.Unmarshal(raw, &mark)
	}
	if err != nil {
		t.Fatal(err)
	}
	return mark.Size
}

// TestAttackFT17: a database that was set back is noticed, and what was dead stays dead.
func TestAttackFT17(t *testing.T) {
	t.Parallel()
	plays(t)
	w := newWorld(t)
	revoked, lives := w.token(t), w.token(t)
	session := w.mara.Cookies()
	each := func(do func(p *process)) {
		for _, p := range w.all() {
			do(p)
		}
	}
	backup := filepath.Join(shortDir(t), "backup.db")
	copies := func(from, to string) { // databases of PostgreSQL, while nobody is connected
		t.Helper()
		w.db.SetMaxIdleConns(0)
		admin := mustURL(t, w.databaseURL())
		admin.Path = "/postgres"
		db, err := sql.Open("pgx", admin.String())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, statement := range []string{"DROP DATABASE IF EXISTS " + to + " WITH (FORCE)", "CREATE DATABASE " + to + " TEMPLATE " + from} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	var name string
	if url := w.databaseURL(); url == "" {
		w.remit(t, nil, "", "backup", backup)
	} else {
		name = strings.Trim(mustURL(t, url).Path, "/")
		each(func(p *process) { p.stop(t) })
		copies(name, name+"_kept")
		t.Cleanup(func() { copies("template1", name+"_kept") })
		each(func(p *process) { p.start(t) })
	}
	if res := w.revoke(t, revoked.ClientID, revoked.RefreshToken()); res.Status != http.StatusOK {
		t.Fatalf("revoke: %s", res)
	}
	w.token(t)
	w.rows(t)
	eventually(t, blackbox.Timeout, "the server has noted how far it came", func() bool {
		return w.highWater(t) >= w.seq
	})
	each(func(p *process) { p.stop(t) })
	if w.databaseURL() == "" {
		w.remit(t, nil, "", "restore", backup, "--yes")
	} else {
		copies(name+"_kept", name)
		ctx, cancel := context.WithTimeout(t.Context(), blackbox.Timeout)
		defer cancel()
		refused := exec.CommandContext(ctx, binary, "serve")
		refused.Env = w.environ()
		if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "epoch raise") {
			t.Errorf("a database that was set back is served: %v %s", err, out)
		}
		jot(t, "refuses to start")
		w.remit(t, nil, "", "epoch", "raise", "--yes")
	}
	each(func(p *process) { p.start(t) })
	for what, f := range map[string]*blackbox.Flow{"revoked after the backup": revoked, "live in the backup": lives} {
		w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{what: f.RefreshForm()})
		var res blackbox.Response
		eventually(t, blackbox.Timeout, "the Guard hears of it", func() bool {
			var err error
			res, err = w.r1.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
			return err == nil && res.Status != http.StatusServiceUnavailable && res.Status != http.StatusOK
		})
		if sane(t, res); res.Status != http.StatusUnauthorized || !blackbox.Challenged(res, "invalid_token") {
			t.Errorf("%s: want 401 invalid_token: %s", what, res)
		}
	}
	jot(t, "401 invalid_token at the resource") // as an ended task or as an unknown token: whatever the Guard heard first
	if w.inside(t, session) {
		t.Error("a session of before lives on")
	}
	eventually(t, blackbox.Timeout, "a token of a later second than the new epoch is good", func() bool {
		f := w.token(t)
		res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
		return err == nil && res.Status == http.StatusOK
	})
	jot(t, goodAfter)
}
