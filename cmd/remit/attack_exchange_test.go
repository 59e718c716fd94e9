package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// The names of the grants besides code and refresh token, and of the tokens.
const (
	deviceGrant   = "urn:ietf:params:oauth:grant-type:device_code"
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	bearerGrant   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	accessType    = "urn:ietf:params:oauth:token-type:access_token"
)

// TestAttackExchange plays section 4.7 of the catalogue.
func TestAttackExchange(t *testing.T) {
	play(t, map[string]row{"TX1": tx1, "TX2": tx2, "TX3": tx3, "TX4": tx4, "TX5": tx5, "TX6": tx6, "TX7": tx7, "TX8": tx8})
}

// crew is a client whose agents may hand on: a parent with a token, and what is needed for a sub-agent.
type crew struct {
	*world
	parent *blackbox.Flow
	client string
}

func (w *world) crew(t *testing.T) *crew {
	t.Helper()
	c := &crew{world: w}
	c.client = w.client(t, "Crew", map[string]any{"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token", exchangeGrant}, "redirect_uris": []string{redirectA}})
	c.parent = w.flow()
	c.parent.ClientID = c.client
	must(t, c.parent, (*blackbox.Flow).ToToken)
	return c
}

// form is the good request by which the holder of sub takes over from the holder of the token.
func (c *crew) form(t *testing.T, holder blackbox.Key, token string, sub blackbox.Key) blackbox.Form {
	t.Helper()
	if _, err := c.server.FreshNonce(t.Context(), c.a); err != nil {
		t.Fatal(err)
	}
	return blackbox.Form{
		{Name: "grant_type", Value: exchangeGrant},
		{Name: "client_id", Value: c.client},
		{Name: "subject_token", Value: token},
		{Name: "subject_token_type", Value: accessType},
		{Name: "subject_token_proof", Value: c.handing(holder, token, sub).String()},
	}
}

// handing is the parent's proof that names the sub-agent's key.
func (c *crew) handing(holder blackbox.Key, token string, sub blackbox.Key) blackbox.Proof {
	return blackbox.NewProof(holder, "POST", c.server.Token, c.server.Known(), token).Claim("delegate_jkt", sub.JKT())
}

// good is the good request of a new sub-agent; send sends a form with a key.
func (c *crew) good(t *testing.T) (blackbox.Key, blackbox.Form) {
	sub := blackbox.NewKey()
	return sub, c.form(t, c.parent.Key, c.parent.Access(), sub)
}

// refusesExchange sends what each attack makes of a good request, wants it refused, and then takes over.
func (c *crew) refusesExchange(t *testing.T, x want, attacks map[string]func(blackbox.Key, blackbox.Form) blackbox.Form) {
	t.Helper()
	for name, spoil := range attacks {
		t.Run(name, func(t *testing.T) {
			sub, form := c.good(t)
			form = spoil(sub, form)
			c.refuses(t, x, func() (blackbox.Response, error) { return c.server.Send(t.Context(), sub, c.server.Token, form) })
		})
	}
	c.hands(t)
}

// hands checks that a sub-agent gets a token that works, and returns it.
func (c *crew) hands(t *testing.T) *blackbox.Flow {
	t.Helper()
	sub, form := c.good(t)
	res, err := c.server.Send(t.Context(), sub, c.server.Token, form)
	if err != nil || res.Status != http.StatusOK || res.Text("token_type") != "DPoP" {
		t.Fatalf("a good exchange: %v %s", err, res)
	}
	f := c.flow()
	f.ClientID, f.Key, f.Issued = c.client, sub, res.JSON()
	c.works(t, f)
	return f
}

// set is an attack that changes parameters.
func set(pairs ...string) func(blackbox.Key, blackbox.Form) blackbox.Form {
	return func(_ blackbox.Key, form blackbox.Form) blackbox.Form {
		for i := 0; i < len(pairs); i += 2 {
			form = form.Set(pairs[i], pairs[i+1])
		}
		return form
	}
}

func tx1(t *testing.T, w *world) {
	c := w.crew(t)
	dead := c.flow()
	dead.ClientID = c.client
	must(t, dead, (*blackbox.Flow).ToToken)
	if res, err := blackbox.Post(t.Context(), w.server.Revoke, blackbox.Form{{Name: "client_id", Value: c.client}, {Name: "token", Value: dead.Access()}}); err != nil || res.Status != http.StatusOK {
		t.Fatalf("revoke: %v %s", err, res)
	}
	c.refusesExchange(t, E("invalid_grant", "invalid_request"), map[string]func(blackbox.Key, blackbox.Form) blackbox.Form{
		"revoked":            func(sub blackbox.Key, _ blackbox.Form) blackbox.Form { return c.form(t, dead.Key, dead.Access(), sub) },
		"a refresh token":    set("subject_token", c.parent.RefreshToken()),
		"nonsense":           set("subject_token", "x.y.z"),
		"another type of it": set("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
		"another type asked": set("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
		"with an actor":      set("actor_token", c.parent.Access(), "actor_token_type", accessType),
	})
}

// handsOnLate is TX1 with a token that has expired.
func handsOnLate(t *testing.T, w *world) (later func(*testing.T)) {
	t.Helper()
	c := w.crew(t)
	brief := c.flow()
	brief.ClientID, brief.Details, brief.Choice.Duration = c.client, withDuration(t, brief.Details, 5), 5
	must(t, brief, (*blackbox.Flow).ToToken)
	_, claims, err := blackbox.Decode(brief.Access())
	if err != nil {
		t.Fatal(err)
	}
	exp, _ := claims["exp"].(float64)
	return func(t *testing.T) {
		until(t, time.Unix(int64(exp)+1, 0))
		w.story(t, brief.TaskID(), func(e entry) bool { return e.Kind == "task.ended" })
		sub := blackbox.NewKey()
		form := c.form(t, brief.Key, brief.Access(), sub)
		w.refuses(t, E("invalid_grant", "invalid_request"), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), sub, w.server.Token, form)
		})
		c.hands(t)
	}
}

func tx2(t *testing.T, w *world) {
	c := w.crew(t)
	header, claims, err := blackbox.Decode(c.parent.Access())
	if err != nil {
		t.Fatal(err)
	}
	forged := blackbox.NewKey().JWS(header.JSON(), claims.JSON())
	abroad := blackbox.NewKey().JWS(header.JSON(), claims.With("iss", "https://other.example").JSON())
	c.refusesExchange(t, E("invalid_grant", "invalid_request"), map[string]func(blackbox.Key, blackbox.Form) blackbox.Form{
		"another key":    func(sub blackbox.Key, _ blackbox.Form) blackbox.Form { return c.form(t, c.parent.Key, forged, sub) },
		"another issuer": func(sub blackbox.Key, _ blackbox.Form) blackbox.Form { return c.form(t, c.parent.Key, abroad, sub) },
	})
}

func tx3(t *testing.T, w *world) {
	w.crew(t).refusesExchange(t, E("invalid_target"), map[string]func(blackbox.Key, blackbox.Form) blackbox.Form{
		"resource R2": set("resource", w.r2.URL), "audience R2": set("audience", w.r2.URL), "unknown": set("resource", "https://unknown.example/mcp"),
	})
}

func tx4(t *testing.T, w *world) {
	c := w.crew(t)
	c.refusesExchange(t, E("invalid_scope"), map[string]func(blackbox.Key, blackbox.Form) blackbox.Form{
		"a wider scope": set("scope", "tickets.read tickets.write tool:delete_ticket"),
	})
	c.refusesExchange(t, E("invalid_authorization_details"), map[string]func(blackbox.Key, blackbox.Form) blackbox.Form{
		"another tool": set("authorization_details", w.details("delete_ticket")), "a tool elsewhere": set("authorization_details", w.detailsAt(w.r2.URL, "get_ticket")),
		"another task": set("authorization_details", `[{"type":"mcp_task","task":"tsk_aaaaaaaaaaaaaaaaaaaaaaaaaa"}]`),
	})
	sub, form := c.good(t) // fewer limits are asked for, none are given
	res, err := w.server.Send(t.Context(), sub, w.server.Token, form.Set("authorization_details", strings.ReplaceAll(w.details("get_ticket"), "WEB", "OPS")))
	if err != nil {
		t.Fatal(err)
	}
	if res.Status == http.StatusOK {
		f := c.flow()
		f.Key, f.Issued = sub, res.JSON()
		if got, err := w.r1.Call(t.Context(), sub, f.Access(), "get_ticket", blackbox.Object{"project": "OPS", "id": "OPS-1"}); err != nil || got.Status != http.StatusForbidden {
			t.Errorf("another project: %v %s", err, got)
		}
	}
}

func tx5(t *testing.T, w *world) {
	c := w.crew(t)
	other := c.hands(t)
	proof := func(p func(sub blackbox.Key) blackbox.Proof) func(blackbox.Key, blackbox.Form) blackbox.Form {
		return func(sub blackbox.Key, form blackbox.Form) blackbox.Form {
			return form.Set("subject_token_proof", p(sub).String())
		}
	}
	c.refusesExchange(t, E("invalid_dpop_proof", "invalid_request"), map[string]func(blackbox.Key, blackbox.Form) blackbox.Form{
		"none":        func(_ blackbox.Key, form blackbox.Form) blackbox.Form { return form.Without("subject_token_proof") },
		"the thief's": proof(func(sub blackbox.Key) blackbox.Proof { return c.handing(sub, c.parent.Access(), sub) }),
		"another key's": proof(func(blackbox.Key) blackbox.Proof {
			return c.handing(c.parent.Key, c.parent.Access(), blackbox.NewKey())
		}),
		"names no key": proof(func(sub blackbox.Key) blackbox.Proof {
			return c.handing(c.parent.Key, c.parent.Access(), sub).Claim("delegate_jkt", nil)
		}),
		"another token": proof(func(sub blackbox.Key) blackbox.Proof { return c.handing(c.parent.Key, other.Access(), sub) }),
		"no ath": proof(func(sub blackbox.Key) blackbox.Proof {
			return c.handing(c.parent.Key, c.parent.Access(), sub).Claim("ath", nil)
		}),
		"for another address": proof(func(sub blackbox.Key) blackbox.Proof {
			return c.handing(c.parent.Key, c.parent.Access(), sub).Claim("htu", w.server.PAR)
		}),
	})
	sub, form := c.good(t)
	if res, err := w.server.Send(t.Context(), sub, w.server.Token, form); err != nil || res.Status != http.StatusOK {
		t.Fatalf("%v %s", err, res)
	}
	t.Run("twice", func(t *testing.T) {
		w.refuses(t, E("invalid_dpop_proof"), func() (blackbox.Response, error) { return w.server.Send(t.Context(), sub, w.server.Token, form) })
	})
	c.hands(t)
}

func tx6(t *testing.T, w *world) {
	c := w.crew(t)
	c.refusesExchange(t, E("unauthorized_client"), map[string]func(blackbox.Key, blackbox.Form) blackbox.Form{"not registered for it": set("client_id", w.a)})
	other := w.client(t, "Other crew", map[string]any{"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", exchangeGrant}, "redirect_uris": []string{redirectB}})
	c.refusesExchange(t, E("invalid_grant"), map[string]func(blackbox.Key, blackbox.Form) blackbox.Form{"another client": set("client_id", other)})
}

func tx7(t *testing.T, w *world) {
	c := w.crew(t)
	t.Run("to itself", func(t *testing.T) {
		form := c.form(t, c.parent.Key, c.parent.Access(), c.parent.Key)
		w.refuses(t, E("invalid_request"), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), c.parent.Key, w.server.Token, form)
		})
	})
	t.Run("back to the first", func(t *testing.T) {
		sub := c.hands(t)
		form := c.form(t, sub.Key, sub.Access(), c.parent.Key)
		w.refuses(t, E("invalid_request"), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), c.parent.Key, w.server.Token, form)
		})
	})
	holder, token := c.parent.Key, c.parent.Access()
	var last *blackbox.Flow
	for range 4 {
		sub := blackbox.NewKey()
		res, err := w.server.Send(t.Context(), sub, w.server.Token, c.form(t, holder, token, sub))
		if err != nil || res.Status != http.StatusOK {
			t.Fatalf("%v %s", err, res)
		}
		last = c.flow()
		last.ClientID, last.Key, last.Issued = c.client, sub, res.JSON()
		holder, token = sub, last.Access()
	}
	w.works(t, last)
	t.Run("a sixth actor", func(t *testing.T) {
		sub := blackbox.NewKey()
		form := c.form(t, holder, token, sub)
		w.refuses(t, E("invalid_request"), func() (blackbox.Response, error) { return w.server.Send(t.Context(), sub, w.server.Token, form) })
	})
	t.Run("the parent has completed", func(t *testing.T) {
		form := blackbox.Form{{Name: "client_id", Value: c.client}, {Name: "refresh_token", Value: c.parent.RefreshToken()}}
		if res, err := w.server.Send(t.Context(), c.parent.Key, w.issuer+"/tasks/"+c.parent.TaskID()+"/complete", form); err != nil || res.Status != http.StatusOK {
			t.Fatalf("complete: %v %s", err, res)
		}
		w.dead(t, last)
	})
	w.crew(t).hands(t)
}

func tx8(t *testing.T, w *world) {
	c := w.crew(t)
	sub, form := c.good(t)
	form = form.Set("authorization_details", `[{"type":"mcp_task","purpose":"For ever","max_duration":360000}]`)
	res, err := w.server.Send(t.Context(), sub, w.server.Token, form)
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("%v %s", err, res)
	}
	ends := func(token string) (task, exp float64) {
		_, claims, err := blackbox.Decode(token)
		if err != nil {
			t.Fatal(err)
		}
		of, _ := claims["task"].(map[string]any)
		task, _ = of["exp"].(float64)
		exp, _ = claims["exp"].(float64)
		return task, exp
	}
	parent, _ := ends(c.parent.Access())
	child, exp := ends(res.Text("access_token"))
	if child == 0 || child > parent || exp > parent {
		t.Errorf("the child ends at %v, its token at %v, the parent at %v", child, exp, parent)
	}
	jot(t, "200, cut to the parent's end")
}
