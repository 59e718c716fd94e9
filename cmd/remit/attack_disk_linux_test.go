package main_test

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// rlimitFsize is RLIMIT_FSIZE: how long a file the process may write.
const rlimitFsize = 1

// longest sets how long the files may get that the server writes.
func (p *process) longest(t *testing.T, bytes uint64) {
	t.Helper()
	limit := syscall.Rlimit{}
	pid, which := uintptr(p.cmd.Process.Pid), uintptr(rlimitFsize)
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, pid, which, 0, uintptr(unsafe.Pointer(&limit)), 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	limit.Cur = min(bytes, limit.Max)
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, pid, which, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
}

// TestAttackAD5: on a file, an end that cannot be written is not told as done.
func TestAttackAD5(t *testing.T) {
	if *engine != "sqlite" {
		return // TestAttackFault
	}
	t.Parallel()
	plays(t)
	w := newWorld(t)
	ad5(t, w, func(away bool) { w.longest(t, map[bool]uint64{true: 4096, false: ^uint64(0)}[away]) })
}

// TestAttackFT11: while nothing more can be written to the database, who wants to
// write is told to come again, who reads is served, and afterwards everything is there.
func TestAttackFT11(t *testing.T) {
	if *engine != "sqlite" {
		return // PostgreSQL's disk is filled by package chaos
	}
	t.Parallel()
	plays(t)
	w := newWorld(t)
	f := w.token(t)
	code := w.code(t)
	w.works(t, f)
	w.longest(t, 4096)
	for name, send := range map[string]func() (blackbox.Response, error){
		"push": func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), blackbox.NewKey(), w.server.PAR, w.flow().PushForm())
		},
		"redeem": func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), code.Key, w.server.Token, code.RedeemForm())
		},
		"revoke": func() (blackbox.Response, error) {
			form := blackbox.Form{{Name: "token", Value: f.RefreshToken()}, {Name: "client_id", Value: w.a}}
			return blackbox.Post(t.Context(), w.server.Revoke, form)
		},
	} {
		res, err := send()
		if err != nil || res.Status != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s with a full disk: %v %s", name, err, res)
		}
		jot(t, "503 while it is full, 200 for who reads, all there afterwards")
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/signin"} {
		if res, err := blackbox.Get(t.Context(), w.issuer+path); err != nil || res.Status != http.StatusOK {
			t.Errorf("%s with a full disk: %v %s", path, err, res)
		}
	}
	if at, err := w.mara.Get(t.Context(), w.issuer+"/agents"); err != nil || at.Status != http.StatusOK {
		t.Errorf("Mara's agents with a full disk: %v %s", err, at.Response)
	}
	w.longest(t, ^uint64(0))
	good(t, code, (*blackbox.Flow).Redeem)
	good(t, f, (*blackbox.Flow).Refresh)
	w.works(t, f)
	w.remit(t, nil, "", "audit", "verify")
	w.stop(t)
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %v %s", err, verdict)
	}
	w.start(t)
}
