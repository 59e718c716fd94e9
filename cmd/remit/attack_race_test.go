package main_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/store/postgres/postgrestest"
	"github.com/remit-auth/remit/store/redis/redistest"
)

// How often and how wide the races run.
const (
	rounds = 25
	racers = 32
)

// graceUses is how often a refresh token is answered with its successor once more.
const graceUses = 3

// TestRace: whatever counts once, 32 at once, one success, 25 times. On PostgreSQL two instances
// answer in turn, with Redis between them and without.
func TestRace(t *testing.T) {
	t.Parallel()
	if *engine != "postgres" {
		playRaces(t, newWorld(t))
		return
	}
	t.Run("two instances", func(t *testing.T) { playRaces(t, newPair(t)) })
	t.Run("two instances with Redis", func(t *testing.T) {
		playRaces(t, newPair(t, "REMIT_REDIS_URL="+aRedis(t)))
	})
}

// playRaces plays each race in rounds.
func playRaces(t *testing.T, w *world) {
	for name, round := range map[string]func(*testing.T, *world) int{
		"code": raceCode, "request_uri": raceRequestURI, "refresh token": raceRefreshToken, "refresh token within the grace": raceRefreshGrace, "assertion": raceAssertion,
		"proof": raceProof, "proof at the resource": raceProofAtResource, "device code": raceDeviceCode,
		"decision on a call": raceCallDecision, "approval": raceApproval,
	} {
		t.Run(name, func(t *testing.T) {
			plays(t)
			for range rounds {
				if won := round(t, w); won != 1 {
					t.Fatalf("%d of %d succeeded", won, racers)
				}
			}
		})
	}
	t.Run("rotation", func(t *testing.T) { plays(t); raceRotations(t, w) })
}

// aRedis starts a Redis server, and returns where it is.
func aRedis(t *testing.T) string {
	t.Helper()
	redis, err := redistest.Start(shortDir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Kill() })
	return redis.URL()
}

// newPair is a world of two instances on one PostgreSQL; who asks the issuer is answered by one and
// the other in turn.
func newPair(t *testing.T, env ...string) *world {
	t.Helper()
	master := filepath.Join(shortDir(t), "master.key")
	if err := os.WriteFile(master, []byte(blackbox.Random(32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env = append(env, "REMIT_MASTER_KEY_FILE="+master)
	if !sets(env, "REMIT_DATABASE_URL") {
		env = append(env, "REMIT_DATABASE_URL="+postgrestest.URL(t))
	}
	first := &process{dir: shortDir(t), listen: freeAddress(t), env: env}
	second := &process{dir: shortDir(t), listen: freeAddress(t), env: slices.Clone(env)}
	for i, pair := range second.env {
		if strings.HasPrefix(pair, "REMIT_OPS_LISTEN=") { // no two can at one address
			second.env[i] = "REMIT_OPS_LISTEN=" + freeAddress(t)
		}
	}
	first.issuer = inTurn(t, first.listen, second.listen)
	second.issuer = first.issuer
	first.run(t)
	second.run(t)
	w := settle(t, first)
	w.second = second
	return w
}

// inTurn passes each request on to the next of the addresses, and returns where it listens.
func inTurn(t *testing.T, addresses ...string) string {
	t.Helper()
	var next atomic.Int64
	front := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Transport: &http.Transport{MaxIdleConnsPerHost: racers}, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: addresses[int(next.Add(1))%len(addresses)]})
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front.URL
}

// race sends the request of every racer at once, and returns how many got the wanted status; what
// the others got must be one of the refusals.
func race(t *testing.T, success int, refusal want, send func(racer int) (blackbox.Response, error)) int {
	t.Helper()
	won := 0
	for _, res := range settled(t, racers, send) {
		if res.Status == success {
			won++
			continue
		}
		refusal.check(t, res)
	}
	return won
}

// together sends the request of every racer at once, and returns the answers.
func together(t *testing.T, send func(racer int) (blackbox.Response, error)) []blackbox.Response {
	t.Helper()
	return atOnce(t, racers, send)
}

// atOnce is together for so many.
func atOnce(t *testing.T, n int, send func(racer int) (blackbox.Response, error)) []blackbox.Response {
	t.Helper()
	answers := make([]blackbox.Response, n)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			start.Wait()
			res, err := send(i)
			if err != nil {
				t.Errorf("racer %d: %v", i, err)
			}
			answers[i] = res
		})
	}
	start.Done()
	done.Wait()
	return answers
}

// settled is atOnce, after which whoever was told to come again, as a busy server may say of a part of them, has
// come again alone, as racer n+i.
func settled(t *testing.T, n int, send func(racer int) (blackbox.Response, error)) []blackbox.Response {
	t.Helper()
	answers := atOnce(t, n, send)
	busy := 0
	for i, res := range answers {
		if res.Status != http.StatusServiceUnavailable {
			continue
		}
		if busy++; res.Header.Get("Retry-After") == "" {
			t.Errorf("not told when to come again: %s", res)
		}
		again, err := send(n + i)
		if err != nil {
			t.Errorf("racer %d, again: %v", i, err)
		}
		answers[i] = again
	}
	if busy > n/2 {
		t.Errorf("%d of %d were told to come again", busy, n)
	}
	return answers
}

// raceCode: one code.
func raceCode(t *testing.T, w *world) int {
	f := w.code(t)
	proofs := w.ready(t, f.Key, w.server.Token)
	return race(t, http.StatusOK, E("invalid_grant"), func(i int) (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), proofs[i])
	})
}

// raceRequestURI: one page, submitted often; one code leaves.
func raceRequestURI(t *testing.T, w *world) int {
	f := w.flow()
	must(t, f, (*blackbox.Flow).Push)
	at, err := w.mara.Get(t.Context(), f.AuthorizeURL())
	if err != nil {
		t.Fatal(err)
	}
	page, form, ok := blackbox.ConsentForm(at)
	if !ok {
		t.Fatalf("no consent page: %s", at.Response)
	}
	answer := form.Filled().Set("duration", "1800").Set("decision", "allow")
	won := 0
	for _, res := range settled(t, racers, w.submits(t, page, form, answer)) {
		if strings.HasPrefix(res.Header.Get("Location"), redirectA+"?code=") {
			won++
			continue
		}
		sane(t, res)
		checkPage(t, res)
	}
	return won
}

// submits returns what submits Mara's form, from as many windows as there are racers.
func (w *world) submits(t *testing.T, page blackbox.Page, form blackbox.PageForm, answer blackbox.Form) func(int) (blackbox.Response, error) {
	t.Helper()
	send := w.submitsAs(t, page, form, w.mara.Cookies())
	return func(int) (blackbox.Response, error) { return send(answer) }
}

// submitsAs returns what submits a page's form under these cookies, and follows no redirect.
func (w *world) submitsAs(t *testing.T, page blackbox.Page, form blackbox.PageForm, cookies string) func(blackbox.Form) (blackbox.Response, error) {
	t.Helper()
	base, err := url.Parse(page.URL)
	if err != nil {
		t.Fatal(err)
	}
	target, err := base.Parse(form.Action)
	if err != nil {
		t.Fatal(err)
	}
	return func(answer blackbox.Form) (blackbox.Response, error) {
		return blackbox.Post(t.Context(), target.String(), answer, blackbox.Header{Name: "Cookie", Value: cookies},
			blackbox.Header{Name: "Origin", Value: w.issuer}, blackbox.Header{Name: "Sec-Fetch-Site", Value: "same-origin"})
	}
}

// raceRefreshToken: one refresh token without a grace, one successor.
func raceRefreshToken(t *testing.T, w *world) int {
	f := w.flow()
	f.ClientID = w.graceless
	must(t, f, (*blackbox.Flow).ToToken)
	form, proofs := f.RefreshForm(), w.ready(t, f.Key, w.server.Token)
	return race(t, http.StatusOK, E("invalid_grant"), func(i int) (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.Token, form, proofs[i])
	})
}

// raceRefreshGrace: an agent that loses an answer, and asks again as often as the grace allows: it gets
// one successor, whichever answer it reads, and goes on with that.
func raceRefreshGrace(t *testing.T, w *world) int {
	f := w.token(t)
	form, proofs := f.RefreshForm(), w.ready(t, f.Key, w.server.Token)
	successors := map[string]bool{}
	for _, res := range settled(t, 1+graceUses, func(i int) (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.Token, form, proofs[i])
	}) {
		if res.Status != http.StatusOK {
			t.Errorf("within the grace: %s", res)
			continue
		}
		successors[res.Text("refresh_token")] = true
		f.Issued = res.JSON()
	}
	must(t, f, (*blackbox.Flow).Refresh)
	return len(successors)
}

// raceAssertion: one client assertion.
func raceAssertion(t *testing.T, w *world) int {
	f := w.flow()
	f.ClientID = w.c
	form := blackbox.Asserted(f.PushForm(), w.cKey, blackbox.NewAssertion(w.c, w.issuer))
	proofs := w.ready(t, f.Key, w.server.PAR)
	return race(t, http.StatusCreated, E401(), func(i int) (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.PAR, form, proofs[i])
	})
}

// raceProof: one proof at the server.
func raceProof(t *testing.T, w *world) int {
	f := w.flow()
	form, proof := f.PushForm(), w.ready(t, f.Key, w.server.PAR)[0]
	return race(t, http.StatusCreated, badProof(), func(int) (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.PAR, form, proof)
	})
}

// raceProofAtResource: one proof at the protected server.
func raceProofAtResource(t *testing.T, w *world) int {
	f := w.token(t)
	w.works(t, f) // which learns the resource's nonce
	call := blackbox.DPoP(w.r1.Proof(f.Key, f.Access()))
	return race(t, http.StatusOK, want{statuses: []int{401}}, func(int) (blackbox.Response, error) {
		return w.r1.Post(t.Context(), "tools/call", "get_ticket", blackbox.CallBody("get_ticket", readArguments), blackbox.Header{Name: "Authorization", Value: "DPoP " + f.Access()}, call)
	})
}

// allowsDevice is what Mara does with the code that a device shows.
func (w *world) allowsDevice(t *testing.T, asked blackbox.Response) {
	t.Helper()
	w.decidesDevice(t, asked, blackbox.Choice{Duration: 1800})
}

func (w *world) decidesDevice(t *testing.T, asked blackbox.Response, c blackbox.Choice) {
	t.Helper()
	at, err := w.mara.Get(t.Context(), asked.Text("verification_uri_complete"))
	if err != nil {
		t.Fatal(err)
	}
	typed, ok := at.Page.With("user_code")
	if !ok {
		t.Fatalf("no page to type the code on: %s", at.Response)
	}
	if at, err = w.mara.Submit(t.Context(), at.Page, typed, typed.Filled().Set("user_code", asked.Text("user_code"))); err != nil {
		t.Fatal(err)
	}
	if at, err = w.mara.Decide(t.Context(), at, c); err != nil || at.Status != http.StatusOK {
		t.Fatalf("Mara decides: %v %s", err, at.Response)
	}
}

// raceDeviceCode: one device code that Mara has allowed.
func raceDeviceCode(t *testing.T, w *world) int {
	key := blackbox.NewKey()
	ask := blackbox.Form{{Name: "client_id", Value: w.headless}, {Name: "resource", Value: w.r1.URL}, {Name: "authorization_details", Value: w.details("get_ticket")}}
	asked, err := w.server.Send(t.Context(), key, w.issuer+"/device", ask)
	if err != nil || asked.Status != http.StatusOK {
		t.Fatalf("device: %v %s", err, asked)
	}
	w.allowsDevice(t, asked)
	form := blackbox.Form{{Name: "grant_type", Value: "urn:ietf:params:oauth:grant-type:device_code"}, {Name: "client_id", Value: w.headless}, {Name: "device_code", Value: asked.Text("device_code")}}
	proofs := w.ready(t, key, w.server.Token)
	return race(t, http.StatusOK, E("invalid_grant"), func(i int) (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.Token, form, proofs[i])
	})
}

// waiting is a task with a call that waits for Mara, and the page where it does.
func (w *world) waiting(t *testing.T) (f *blackbox.Flow, page string) {
	t.Helper()
	f = w.flow()
	f.Details = strings.Replace(w.details("get_ticket", "add_comment"), `"tool":"add_comment"`, `"approval":"each_call","tool":"add_comment"`, 1)
	must(t, f, (*blackbox.Flow).ToToken)
	res := w.call(t, f, "add_comment", comment)
	denied(t, res, http.StatusForbidden, "approval_required")
	page, _ = blackbox.Denial(res)["url"].(string)
	return f, page
}

// raceCallDecision: Mara allows a call in half her windows, and refuses it in the others; the ledger
// has one answer.
func raceCallDecision(t *testing.T, w *world) int {
	f, page := w.waiting(t)
	at, err := w.mara.Get(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	form, ok := at.Page.With("decision")
	if !ok {
		t.Fatalf("no call waits: %s", at.Response)
	}
	allow := w.submits(t, at.Page, form, form.Filled().Set("decision", "allow"))
	deny := w.submits(t, at.Page, form, form.Filled().Set("decision", "deny"))
	for _, res := range settled(t, racers, func(i int) (blackbox.Response, error) {
		if i%4 < 2 { // one and the other at each instance
			return allow(i)
		}
		return deny(i)
	}) {
		sane(t, res)
	}
	must(t, f, (*blackbox.Flow).Refresh) // which the ledger tells after all of it
	answers := 0
	for _, e := range w.story(t, f.TaskID(), func(e entry) bool { return e.Kind == "token.refreshed" }) {
		if e.Kind == "approval.allowed" || e.Kind == "approval.denied" {
			answers++
		}
	}
	return answers
}

// raceApproval: one yes, the same call from everywhere; it runs once.
func raceApproval(t *testing.T, w *world) int {
	f, page := w.waiting(t)
	if _, err := w.decideCall(t.Context(), w.mara, page, "allow"); err != nil {
		t.Fatal(err)
	}
	return race(t, http.StatusOK, want{statuses: []int{403}}, func(int) (blackbox.Response, error) {
		return w.r1.Call(t.Context(), f.Key, f.Access(), "add_comment", comment)
	})
}

// ready makes good proofs for every racer, one to come with and one to come again with, with a nonce fetched just now.
func (w *world) ready(t *testing.T, k blackbox.Key, address string) []blackbox.Header {
	t.Helper()
	if _, err := w.server.FreshNonce(t.Context(), w.a); err != nil {
		t.Fatal(err)
	}
	all := make([]blackbox.Header, 2*racers)
	for i := range all {
		all[i] = blackbox.DPoP(w.server.Proof(k, address))
	}
	return all
}
