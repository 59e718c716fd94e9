package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// worker is one person with one agent after the other: each asks, is granted, works, refreshes and
// ends, and does everything that must succeed once more than once.
type worker struct {
	world  *World
	home   net.IP // its own address: limits of addresses are for each
	person *blackbox.Browser
	server *blackbox.Server
	tools  *blackbox.Tools
	rng    *rand.Rand
	spent  []again // requests that have succeeded, to be sent again much later
}

// again is a request that must never succeed again.
type again struct {
	op, key string
	address string
	form    blackbox.Form
	proof   string // empty: none
}

// run works until the context ends.
func (k *worker) run(ctx context.Context) {
	ctx = blackbox.From(ctx, k.home)
	for round := 0; ctx.Err() == nil; round++ {
		if round%4 == 3 {
			k.assert(ctx)
		}
		k.task(ctx)
		k.replay(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(20+k.rng.IntN(80)) * time.Millisecond):
		}
	}
}

// task is a task from the first request to long after its end.
func (k *worker) task(ctx context.Context) {
	f := &blackbox.Flow{
		Server: k.server, Person: k.person, ClientID: k.world.Public, Redirect: redirect, Resource: k.tools.URL,
		Key: blackbox.NewKey(), Details: k.world.details(), Choice: blackbox.Choice{Duration: 1800},
	}
	pushed, ok := k.prove(ctx, f.Key, k.server.PAR, f.PushForm(), 2)
	if !ok {
		return
	}
	f.RequestURI = pushed.Text("request_uri")
	if !k.consent(ctx, f) {
		return
	}
	if !k.redeem(ctx, f) {
		return
	}
	for range 1 + k.rng.IntN(3) {
		k.call(ctx, f)
	}
	k.ask(ctx, f)
	k.refresh(ctx, f)
	k.call(ctx, f)
	if k.end(ctx, f) {
		k.afterwards(ctx, f)
	}
}

// classify reads an answer.
func classify(res blackbox.Response, err error) Result {
	switch {
	case err != nil || res.Status >= 500:
		return Unknown
	case res.Status/100 == 2:
		return OK
	}
	return Refused
}

// prove sends a form with one proof, several times at once, and again with a newer nonce when that is
// asked for. It returns the answer that succeeded.
func (k *worker) prove(ctx context.Context, key blackbox.Key, address string, form blackbox.Form, times int) (good blackbox.Response, ok bool) {
	for range 4 {
		proof := k.server.Proof(key, address).String()
		answers := k.all(ctx, times, func(int) (blackbox.Response, error) {
			return blackbox.Post(ctx, address, form, blackbox.Header{Name: "DPoP", Value: proof})
		}, "proof", blackbox.Digest(proof)[:16])
		nonce := false
		for _, res := range answers {
			k.server.Note(res)
			nonce = nonce || res.Code() == "use_dpop_nonce"
			if res.Status/100 == 2 {
				good, ok = res, true
			}
		}
		if ok {
			k.keep(again{op: "proof", key: blackbox.Digest(proof)[:16], address: address, form: form, proof: proof})
		}
		if ok || !nonce {
			return good, ok
		}
	}
	return good, false
}

// all sends several requests at once and notes each.
func (k *worker) all(ctx context.Context, times int, send func(i int) (blackbox.Response, error), op, key string) []blackbox.Response {
	answers := make([]blackbox.Response, times)
	var sent sync.WaitGroup
	for i := range times {
		sent.Go(func() {
			start := time.Now()
			res, err := send(i)
			answers[i] = res
			if ctx.Err() == nil || err == nil {
				k.world.History.Note(Event{Start: start, Op: op, Key: key, Result: classify(res, err)})
			}
		})
	}
	sent.Wait()
	return answers
}

func (k *worker) keep(a again) {
	if len(k.spent) >= 64 {
		k.spent[k.rng.IntN(len(k.spent))] = a
		return
	}
	k.spent = append(k.spent, a)
}

// replay sends something that has succeeded once more.
func (k *worker) replay(ctx context.Context) {
	if len(k.spent) == 0 {
		return
	}
	a := k.spent[k.rng.IntN(len(k.spent))]
	var headers []blackbox.Header
	if a.proof != "" {
		headers = append(headers, blackbox.Header{Name: "DPoP", Value: a.proof})
	}
	k.all(ctx, 1, func(int) (blackbox.Response, error) { return blackbox.Post(ctx, a.address, a.form, headers...) }, a.op, a.key)
}

// assert pushes a request with one client assertion, twice at once.
func (k *worker) assert(ctx context.Context) {
	f := &blackbox.Flow{Server: k.server, ClientID: k.world.Confidential, Redirect: redirect, Resource: k.tools.URL, Details: k.world.details()}
	claims := blackbox.NewAssertion(k.world.Confidential, k.server.Issuer)
	form := blackbox.Asserted(f.PushForm(), k.world.ClientKey, claims)
	key := fmt.Sprint(claims["jti"])
	answers := k.all(ctx, 2, func(int) (blackbox.Response, error) { return blackbox.Post(ctx, k.server.PAR, form) }, "assertion", key)
	for _, res := range answers {
		if res.Status/100 == 2 {
			k.keep(again{op: "assertion", key: key, address: k.server.PAR, form: form})
			return
		}
	}
}

// consent decides, in one to three windows at once.
func (k *worker) consent(ctx context.Context, f *blackbox.Flow) bool {
	at, err := k.person.Get(ctx, f.AuthorizeURL())
	if err == nil {
		at, err = k.person.SignIn(ctx, at)
	}
	if err != nil {
		return false
	}
	page, form, ok := blackbox.ConsentForm(at)
	if !ok {
		return false
	}
	answers := slices.Repeat([]blackbox.Form{f.Choice.Fill(form)}, 1+k.rng.IntN(3))
	start := time.Now()
	all, err := k.person.Together(ctx, page, form, answers...)
	if err != nil || ctx.Err() != nil {
		return false
	}
	for _, res := range all {
		result := classify(res, nil)
		if res.Status == 0 {
			result = Unknown
		}
		if at, err := url.Parse(res.Header.Get("Location")); err == nil && at.Query().Get("code") != "" {
			result, f.Code = OK, at.Query().Get("code")
		} else if result == OK {
			result = Refused
		}
		k.world.History.Note(Event{Start: start, Op: "request_uri", Key: f.RequestURI[len(f.RequestURI)-16:], Result: result})
	}
	return f.Code != ""
}

// ask makes a call that the person is asked about, has it allowed (and refused) in several windows at
// once, and makes it again, twice at once: it may run once.
func (k *worker) ask(ctx context.Context, f *blackbox.Flow) {
	comment := blackbox.Object{"project": "WEB", "id": "WEB-118", "text": blackbox.Random(8)}
	comes := func() (blackbox.Response, error) { return k.tools.Call(ctx, f.Key, f.Access(), "add_comment", comment) }
	res, err := comes()
	address, _ := blackbox.Denial(res)["url"].(string)
	if err != nil || address == "" {
		return
	}
	at, err := k.person.Get(ctx, address)
	if err != nil {
		return
	}
	form, ok := at.Page.With("decision")
	if !ok {
		return
	}
	allow, deny := form.Filled().Set("decision", "allow"), form.Filled().Set("decision", "deny")
	if _, err := k.person.Together(ctx, at.Page, form, allow, allow, []blackbox.Form{allow, deny}[k.rng.IntN(2)]); err != nil {
		return
	}
	for range 2 { // and once more, later
		k.all(ctx, 2, func(int) (blackbox.Response, error) {
			res, err := comes()
			if err == nil && res.Status == http.StatusOK && blackbox.Answer(res)["result"] == nil {
				res.Status = http.StatusForbidden
			}
			return res, err
		}, "approval", address[len(address)-16:])
	}
}

// redeem exchanges the code, now and then twice at once, which ends the task, until somebody says what became of it.
func (k *worker) redeem(ctx context.Context, f *blackbox.Flow) bool {
	times := 1
	if k.rng.IntN(4) == 0 {
		times = 2
	}
	for range 3 {
		answers := k.all(ctx, times, func(int) (blackbox.Response, error) { return k.server.Send(ctx, f.Key, k.server.Token, f.RedeemForm()) }, "code", blackbox.Digest(f.Code)[:16])
		unknown := false
		for _, res := range answers {
			if res.Status == http.StatusOK {
				f.Issued = res.JSON()
			}
			unknown = unknown || res.Status == 0 || res.Status >= 500
		}
		if f.Issued != nil {
			k.world.History.Note(Event{Start: time.Now(), Op: "granted", Key: f.TaskID(), Result: OK})
			return true
		}
		if !unknown {
			return false
		}
	}
	return false
}

// refresh rotates, two processes of the agent at once.
func (k *worker) refresh(ctx context.Context, f *blackbox.Flow) {
	token, form := f.RefreshToken(), f.RefreshForm()
	var mu sync.Mutex
	var sent sync.WaitGroup
	for range 2 {
		sent.Go(func() {
			start := time.Now()
			res, err := k.server.Send(ctx, f.Key, k.server.Token, form)
			e := Event{Start: start, Op: "refresh", Key: blackbox.Digest(token)[:16], Result: classify(res, err)}
			if e.Result == Refused {
				e.Detail = res.Code() + ": " + res.Text("error_description")
			}
			if e.Result == OK {
				e.Detail = blackbox.Digest(res.Text("refresh_token"))[:16]
				mu.Lock()
				f.Issued = blackbox.Object(f.Issued).With("access_token", res.Text("access_token")).With("refresh_token", res.Text("refresh_token"))
				mu.Unlock()
			}
			k.world.History.Note(e)
		})
	}
	sent.Wait()
}

// call calls a tool at the protected server.
func (k *worker) call(ctx context.Context, f *blackbox.Flow) Result {
	start := time.Now()
	res, err := k.tools.Call(ctx, f.Key, f.Access(), "get_ticket", blackbox.Object{"project": "WEB", "id": "WEB-118"})
	result := classify(res, err)
	if result == OK && blackbox.Answer(res)["result"] == nil {
		result = Refused
	}
	k.world.History.Note(Event{Start: start, Op: "call", Detail: f.TaskID(), Result: result})
	return result
}

// end completes the task, until that is acknowledged.
func (k *worker) end(ctx context.Context, f *blackbox.Flow) bool {
	address := k.server.Issuer + "/tasks/" + f.TaskID() + "/complete"
	for range 20 {
		start := time.Now()
		proof := blackbox.NewProof(f.Key, "POST", address, k.server.Known(), f.Access())
		res, err := blackbox.Post(ctx, address, nil, blackbox.Header{Name: "Authorization", Value: "DPoP " + f.Access()}, blackbox.DPoP(proof))
		k.server.Note(res)
		result := classify(res, err)
		k.world.History.Note(Event{Start: start, Op: "end", Key: f.TaskID(), Result: result})
		if result == OK {
			return true
		}
		if ctx.Err() != nil || result == Refused && res.Code() != "use_dpop_nonce" && res.Code() != "temporarily_unavailable" {
			return false
		}
		if result == Unknown {
			time.Sleep(100 * time.Millisecond)
		}
	}
	return false
}

// afterwards tries what an ended task must not do, until the protected server refuses.
func (k *worker) afterwards(ctx context.Context, f *blackbox.Flow) {
	start := time.Now()
	res, err := k.server.Send(ctx, f.Key, k.server.Token, f.RefreshForm())
	k.world.History.Note(Event{Start: start, Op: "refresh of", Key: f.TaskID(), Result: classify(res, err)})
	for time.Since(start) < 15*time.Second && ctx.Err() == nil {
		if k.call(ctx, f) == Refused {
			return
		}
	}
}

// details asks for two tools to read with, and one to write with that the person is asked about each time.
func (w *World) details() string {
	all := []any{blackbox.Object{"type": "mcp_task", "purpose": "Survive", "max_duration": 1800}}
	for _, tool := range []string{"search_tickets", "get_ticket", "add_comment"} {
		asked := blackbox.Object{"type": "mcp_tool", "locations": []string{w.Resource}, "tool": tool, "constraints": blackbox.Object{"project": blackbox.Object{"const": "WEB"}}}
		if tool == "add_comment" {
			asked = asked.With("approval", "each_call")
		}
		all = append(all, asked)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(raw))
}
