package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackLimits plays the floods: against a server with the limits of every server, a twentieth as
// high, so that a flood is short. Each comes from an address of its own; the good client has another.
func TestAttackLimits(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	w := newWorld(t, append(append(v.env(t), operated(t)...), "REMIT_RATE_FACTOR=0.05", "REMIT_REGISTRATION=open")...)
	known := w.documented(v.publishes("/known.json", nil))
	must(t, known, (*blackbox.Flow).Push)
	playOn(t, w, map[string]row{
		"CM11": func(t *testing.T, w *world) { cm11(t, w, v, known) },
		"CA10": ca10Flood, "RX9": rx9, "RX10": rx10, "RX11": rx11, "RX12": rx12, "RX13": rx13, "RX15": rx15, "RX17": rx17, "RX18": rx18,
	})
}

// floods sends requests one after the other from an address, and counts the answers; the flood has to
// be limited, and each refusal says when to come again.
func (w *world) floods(t *testing.T, from string, n int, send func(ctx context.Context, i int) (blackbox.Response, error)) map[int]int {
	t.Helper()
	counts := map[int]int{}
	ctx := blackbox.From(t.Context(), net.ParseIP(from))
	for i := range n {
		res, err := send(ctx, i)
		if err != nil {
			t.Fatal(err)
		}
		sane(t, res)
		if counts[res.Status]++; res.Status == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Fatal("429 without Retry-After")
		}
	}
	return counts
}

// limited wants most of a flood refused with 429.
func limited(t *testing.T, counts map[int]int, n int) {
	t.Helper()
	if counts[http.StatusTooManyRequests] < n/2 {
		t.Errorf("of %d requests: %v", n, counts)
	}
	jot(t, "429 after a few")
}

// cm11: who names hundreds of hosts is limited; a client that is known is served.
func cm11(t *testing.T, w *world, v *vendor, known *blackbox.Flow) {
	_, before := v.counts("")
	counts := w.floods(t, "127.0.0.111", size("CM11"), func(ctx context.Context, i int) (blackbox.Response, error) {
		id := fmt.Sprintf("https://127.0.%d.%d:%s/%d.json", 128+i/250, i%250+1, v.port, i)
		return blackbox.Post(ctx, w.direct(w.server.PAR), w.documented(id).PushForm(), blackbox.DPoP(w.server.Proof(blackbox.NewKey(), w.server.PAR)))
	})
	limited(t, counts, size("CM11"))
	if _, after := v.counts(""); after-before > 50 {
		t.Errorf("%d connections", after-before)
	}
	good(t, known, (*blackbox.Flow).Push)
}

// ca10Flood: guesses at a secret are slowed down, and who knows it is served.
func ca10Flood(t *testing.T, w *world) {
	id, secret := w.secretClient(t, "Guessed", "client_credentials")
	w.remit(t, nil, "", "client", "assign", "--client", id, "--resource", w.r1.URL, "--role", "admin")
	form := blackbox.Form{{Name: "grant_type", Value: "client_credentials"}, {Name: "client_id", Value: id}, {Name: "resource", Value: w.r1.URL}}
	counts := w.floods(t, "127.0.0.115", 1000, func(ctx context.Context, _ int) (blackbox.Response, error) {
		return blackbox.Post(ctx, w.direct(w.server.Token), form.Set("client_secret", "rs_"+blackbox.Random(32)))
	})
	if counts[http.StatusUnauthorized] == 0 || counts[http.StatusUnauthorized]+counts[http.StatusTooManyRequests] != 1000 {
		t.Errorf("1 000 wrong secrets: %v", counts)
	}
	limited(t, counts, 1000)
	res, err := w.server.Send(t.Context(), blackbox.NewKey(), w.server.Token, form.Set("client_secret", secret))
	if err != nil || res.Status != http.StatusOK {
		t.Errorf("the right secret: %v %s", err, res)
	}
	jot(t, goodAfter)
}

// rx9: registration is bounded.
func rx9(t *testing.T, w *world) {
	counts := w.floods(t, "127.0.0.109", 100, func(ctx context.Context, i int) (blackbox.Response, error) {
		r := blackbox.Request{Method: "POST", Target: "/register", Headers: []blackbox.Header{{Name: "Content-Type", Value: "application/json"}}, Body: []byte(registration(blackbox.Object{"client_name": fmt.Sprint("Flood ", i)}))}
		return blackbox.Do(ctx, w.direct(w.issuer), r)
	})
	limited(t, counts, 100)
	if counts[http.StatusCreated] > 10 {
		t.Errorf("%v", counts)
	}
	good(t, w.flow(), (*blackbox.Flow).ToToken)
}

// cost sends a request often, and returns what one took of the server's processor at most.
func (w *world) cost(t *testing.T, n int, send func() blackbox.Response) time.Duration {
	t.Helper()
	before := w.cpu(t)
	for range n {
		sane(t, send())
	}
	return (w.cpu(t) - before) / time.Duration(n)
}

// rx10: a bad proof or code costs little, and what is refused by the limits next to nothing.
func rx10(t *testing.T, w *world) {
	form := w.flow().RedeemForm().Set("code", "rc_"+blackbox.Random(32)).Set("code_verifier", blackbox.Random(32))
	ctx := blackbox.From(t.Context(), net.ParseIP("127.0.0.110"))
	send := func(headers ...blackbox.Header) func() blackbox.Response {
		return func() blackbox.Response {
			res, err := blackbox.Post(ctx, w.direct(w.server.Token), form, headers...)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
	}
	good := w.server.Proof(blackbox.NewKey(), w.server.Token).String()
	for name, headers := range map[string][]blackbox.Header{
		"no proof": nil, "no JWS": {{Name: "DPoP", Value: "x"}}, "30 kB of dots": {{Name: "DPoP", Value: strings.Repeat(".", 30_000)}}, "a changed signature": {{Name: "DPoP", Value: good[:len(good)-8] + "AAAAAAAA"}}, "a bad code": {{Name: "DPoP", Value: good}},
	} {
		if took := w.cost(t, 200, send(headers...)); took > 10*time.Millisecond { // P5
			t.Errorf("%s costs %v", name, took)
		}
		jot(t, "less than 10 ms of CPU: "+name)
	}
}

// rx11: good proofs, each with a jti of its own, fill no memory.
func rx11(t *testing.T, w *world) {
	before := w.memory(t)
	counts := w.floods(t, "127.0.0.112", 1000, func(ctx context.Context, _ int) (blackbox.Response, error) {
		form := w.flow().RedeemForm().Set("code", "rc_none")
		return blackbox.Post(ctx, w.direct(w.server.Token), form, blackbox.DPoP(w.server.Proof(blackbox.NewKey(), w.server.Token)))
	})
	limited(t, counts, 1000)
	if grown := w.memory(t) - before; grown > 128<<20 {
		t.Errorf("%d bytes more", grown)
	}
	good(t, w.flow(), (*blackbox.Flow).ToToken)
}

// rx12: requests of nobody who signs in leave nothing behind.
func rx12(t *testing.T, w *world) {
	records, tasks := w.rows(t)
	address := w.direct(w.front(w.flow().PushForm()))
	counts := w.floods(t, "127.0.0.113", 1000, func(ctx context.Context, _ int) (blackbox.Response, error) { return blackbox.Get(ctx, address) })
	limited(t, counts, 1000)
	if r, n := w.rows(t); r != records || n != tasks {
		t.Errorf("%d ledger records and %d tasks more", r-records, n-tasks)
	}
	good(t, w.flow(), (*blackbox.Flow).ToToken)
}

// rx13: long passwords are not looked at, and many at once wait for their turn, or are sent away.
func rx13(t *testing.T, w *world) {
	for name, password := range map[string]string{"1 MB": strings.Repeat("a", 1<<20), "60 kB": strings.Repeat("a", 60<<10)} {
		began := time.Now()
		res := w.tries(t, "127.0.0.114", w.mara.Email, password)
		if seen(t, res); res.Status < 400 || time.Since(began) > 5*time.Second {
			t.Errorf("%s: %s after %v", name, res, time.Since(began))
		}
	}
	before := w.memory(t)
	for i, res := range together(t, func(i int) (blackbox.Response, error) {
		return w.tries(t, fmt.Sprintf("127.0.2.%d", i+1), fmt.Sprintf("nobody%d@acme.example", i), "guess"), nil
	}) {
		if res.Status != http.StatusUnauthorized && res.Status != http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Errorf("%d: %s", i, res)
		}
	}
	most := int64(400 << 20)
	if len(buildFlags) > 0 { // the race detector remembers who used each byte
		most *= 3
	}
	if grown := w.memory(t) - before; grown > most {
		t.Errorf("%d sign-ins at once take %d bytes", racers, grown)
	}
	jot(t, "many at once: bounded memory")
	w.enters(t, w.mara)
	jot(t, goodAfter)
}

// rx15: key set and metadata are answered from memory, and not at all to who has them already.
func rx15(t *testing.T, w *world) {
	for _, path := range []string{"/jwks", "/.well-known/oauth-authorization-server"} {
		res, err := blackbox.Get(t.Context(), w.issuer+path)
		tag := res.Header.Get("ETag")
		if err != nil || res.Status != http.StatusOK || tag == "" {
			t.Fatalf("%s: %v %s without ETag", path, err, res)
		}
		took := w.cost(t, 300, func() blackbox.Response {
			res, err := blackbox.Get(t.Context(), w.direct(w.issuer+path), blackbox.Header{Name: "If-None-Match", Value: tag})
			if err != nil || res.Status != http.StatusNotModified || len(res.Body) > 0 {
				t.Fatalf("%s again: %v %s", path, err, res)
			}
			return res
		})
		if took > 5*time.Millisecond {
			t.Errorf("%s costs %v", path, took)
		}
	}
	jot(t, "304, for little")
}

// rx17: no text makes a pattern run away.
func rx17(t *testing.T, w *world) {
	for _, text := range []string{strings.Repeat("a", 30_000) + "!", strings.Repeat("a@", 10_000), strings.Repeat("/../", 8_000), strings.Repeat(" ", 30_000) + "x", strings.Repeat("%25", 10_000)} {
		for name, send := range map[string]func() (blackbox.Response, error){
			"scope": func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.server.PAR, w.flow().PushForm().Set("scope", text))
			},
			"redirect_uri": func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.server.PAR, w.flow().PushForm().Set("redirect_uri", "https://"+text))
			},
			"client_id": func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.server.PAR, w.flow().PushForm().Set("client_id", "https://"+text))
			},
			"resource": func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.server.PAR, w.flow().PushForm().Set("resource", text))
			},
			"email": func() (blackbox.Response, error) { return w.tries(t, "127.0.3.1", text, "x"), nil },
			"language": func() (blackbox.Response, error) {
				return blackbox.Get(t.Context(), w.issuer+"/signin", blackbox.Header{Name: "Accept-Language", Value: text[:8_000]})
			},
		} {
			before := w.cpu(t)
			res, err := send()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if sane(t, res); w.cpu(t)-before > 500*time.Millisecond {
				t.Errorf("%s of %.10s… costs %v", name, text, w.cpu(t)-before)
			}
		}
	}
	f := w.flow()
	f.Details = strings.Replace(w.details("get_ticket"), `"const":"WEB"`, `"pattern":"^(a+)+$"`, 1)
	must(t, f, (*blackbox.Flow).ToToken)
	began := time.Now()
	denied(t, w.call(t, f, "get_ticket", blackbox.Object{"project": strings.Repeat("a", 50_000) + "!", "id": "WEB-118"}), http.StatusForbidden, "argument_limit")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a pattern took %v", took)
	}
	jot(t, "linear")
}

// rx18: strangers make no metric of their own.
func rx18(t *testing.T, w *world) {
	was := w.metrics(t)
	for i := range 200 {
		id := fmt.Sprintf("cli_%d_%s", i, blackbox.Random(8))
		ctx := blackbox.From(t.Context(), net.ParseIP(fmt.Sprintf("127.0.4.%d", i%8+1)))
		for _, path := range []string{"/token", "/" + id, "/tasks/" + id} {
			if _, err := blackbox.Post(ctx, w.direct(w.issuer+path), blackbox.Form{{Name: "client_id", Value: id}, {Name: "grant_type", Value: id}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	is := w.metrics(t)
	if bytes.Contains(is, []byte("cli_")) || bytes.Count(is, []byte("\n"))-bytes.Count(was, []byte("\n")) > 60*len(w.all()) {
		t.Errorf("%d lines of metrics, there were %d", bytes.Count(is, []byte("\n")), bytes.Count(was, []byte("\n")))
	}
	jot(t, "no label of a stranger's")
}
