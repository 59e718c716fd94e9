package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/remit-auth/remit/tokens"
)

// Files of the state directory.
const (
	keyFile     = "key.json"   // the Guard's private key, a JWK
	guardFile   = "guard.json" // its enrolment
	witnessFile = "witness.jsonl"
	replicaFile = "replica" // the name of this replica
	spoolDir    = "spool"
)

// ErrNotNow says that enrolling failed for a reason that may pass: the authorization server did not
// answer, or not yet. The enrolment code is as good as before.
var ErrNotNow = errors.New("resource: the authorization server cannot enrol this Guard now")

// enrolLimit is how many bytes of policy and tools go into an enrolment, encoded into a body of 64 KiB.
const enrolLimit = 32 << 10

// enrolment is who the Guard is and where its authorization server listens to it.
type enrolment struct {
	GuardID    string `json:"guard_id"`
	Issuer     string `json:"issuer"`
	Resource   string `json:"resource"`
	JWKS       string `json:"jwks_uri"`
	Feed       string `json:"feed"`
	Ack        string `json:"ack"`
	Executions string `json:"executions"`
	Reserve    string `json:"reserve"`
	Introspect string `json:"introspect"`
}

// enrolled returns the authority as the state directory knows it, enrolling first if it does not.
func (g *Guard) enrolled(ctx context.Context, code string) (*authority, error) {
	key, err := guardKey(filepath.Join(g.dir, keyFile))
	if err != nil {
		return nil, err
	}
	a := &authority{client: g.http, now: g.now, key: key, issuer: g.issuer}
	raw, err := os.ReadFile(filepath.Join(g.dir, guardFile))
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, &a.enrolment); err != nil {
			return nil, fmt.Errorf("resource: %s is damaged: %w", guardFile, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case code == "":
		return nil, errors.New("resource: this Guard is not enrolled; run `remit resource add` and set EnrolmentCode")
	default:
		if err := g.enrol(ctx, a, code); err != nil {
			return nil, err
		}
	}
	return a, a.check(g.issuer, g.resource)
}

// enrol spends the enrolment code and keeps what the authorization server says.
func (g *Guard) enrol(ctx context.Context, a *authority, code string) error {
	tools, err := g.tools.read(ctx)
	if err != nil {
		return fmt.Errorf("resource: reading the live tools: %w", err)
	}
	in := struct {
		Code   string            `json:"enrolment_code"`
		Key    json.RawMessage   `json:"key"`
		Policy string            `json:"policy"`
		Tools  []json.RawMessage `json:"tools"`
	}{code, a.key.PublicJWK(), string(g.rules.Load().src), tools}
	if size := len(in.Policy) + total(tools); size > enrolLimit {
		in.Policy, in.Tools = "", nil // the server takes as much of a Guard it knows: publish sends it
	}
	var out struct {
		enrolment
		Pending []string `json:"pending_tools"`
	}
	if err := a.call(ctx, http.MethodPost, endpoint(g.issuer, "/enroll"), in, &out); err != nil {
		if e, answered := errors.AsType[*answerError](err); !answered || e.Status >= 500 || e.Status == http.StatusTooManyRequests {
			err = errors.Join(ErrNotNow, err)
		}
		return fmt.Errorf("resource: enrolling: %w", err)
	}
	if err := out.enrolment.check(g.issuer, g.resource); err != nil {
		return err
	}
	a.enrolment = out.enrolment
	raw, err := json.MarshalIndent(a.enrolment, "", "  ")
	if err != nil {
		return err
	}
	if len(out.Pending) > 0 {
		g.log.Warn("tools wait for an admin's approval", "tools", out.Pending)
	}
	if err := writeFile(filepath.Join(g.dir, guardFile), raw); err != nil {
		return err
	}
	return writeFile(filepath.Join(g.dir, replicaFile), nil) // the first has no name
}

// replicaName is how this process is told from others of the same Guard: by what it hears and says.
// Where key and enrolment were copied to, it makes a name.
func (g *Guard) replicaName() (string, error) {
	path := filepath.Join(g.dir, replicaFile)
	raw, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return strings.TrimSpace(string(raw)), err
	}
	if _, err := os.Stat(filepath.Join(g.dir, spoolDir)); err == nil {
		return "", nil // it said something before there were names
	}
	name := tokens.NewID("rpl_")
	return name, writeFile(path, []byte(name+"\n"))
}

// check makes sure that the enrolment is this Guard's and that no secret of it goes elsewhere.
func (e enrolment) check(issuer, resource string) error {
	if e.GuardID == "" || e.Issuer != issuer || e.Resource != resource {
		return fmt.Errorf("resource: enrolled as %q for %q at %q, configured for %q at %q",
			e.GuardID, e.Resource, e.Issuer, resource, issuer)
	}
	home, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	for _, s := range []string{e.JWKS, e.Feed, e.Ack, e.Executions, e.Reserve, e.Introspect} {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != home.Scheme || u.Host != home.Host {
			return fmt.Errorf("resource: the endpoint %q is not at the issuer %q", s, issuer)
		}
	}
	return nil
}

func total(list []json.RawMessage) (n int) {
	for _, raw := range list {
		n += len(raw) + 1
	}
	return n
}

func endpoint(issuer, path string) string { return strings.TrimSuffix(issuer, "/") + path }

// guardKey reads the Guard's key, or makes it. A key that anybody on this machine may read is not used; its
// group may, for Kubernetes gives volumes back to the pod's with 0660.
func guardKey(path string) (tokens.SigningKey, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows" {
		return tokens.SigningKey{}, fmt.Errorf("resource: %s is the Guard's key and anybody on this machine may open it (mode %04o); chmod 600 it, and if somebody did, enrol the Guard anew", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err == nil {
		return tokens.ParseSigningKey(raw)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return tokens.SigningKey{}, err
	}
	key, err := tokens.NewSigningKey()
	if err != nil {
		return tokens.SigningKey{}, err
	}
	if raw, err = key.Marshal(); err != nil {
		return tokens.SigningKey{}, err
	}
	return key, writeFile(path, raw)
}

// writeFile puts a whole file in place, durably, or nothing.
func writeFile(path string, raw []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
