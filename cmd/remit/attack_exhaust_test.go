package main_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackExhaust plays the rows of section 4.21 that one request plays.
func TestAttackExhaust(t *testing.T) {
	play(t, map[string]row{"RX1": rx1, "RX2": rx2, "RX3": rx3, "RX4": rx4, "RX5": rx5, "RX6": rx6, "RX14": rx14, "RX16": rx16})
}

// tooMuch is 413, or the refusal of what was read before it was too much.
func tooMuch() want { return want{statuses: []int{413}, codes: []string{"invalid_request"}} }

var formType = blackbox.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}

func rx1(t *testing.T, w *world) {
	long := []byte("grant_type=" + strings.Repeat("a", 10<<20))
	chunked := []byte(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", 200<<10, strings.Repeat("a", 200<<10)))
	for _, path := range []string{"/token", "/par", "/revoke", "/introspect"} {
		for name, r := range map[string]blackbox.Request{
			"10 MB":   {Method: "POST", Target: path, Headers: []blackbox.Header{formType}, Body: long},
			"9e18":    {Method: "POST", Target: path, Headers: []blackbox.Header{formType, {Name: "Content-Length", Value: "9000000000000000000"}}, Body: []byte("a=b")},
			"chunked": {Method: "POST", Target: path, Headers: []blackbox.Header{formType, {Name: "Transfer-Encoding", Value: "chunked"}}, Body: chunked},
		} {
			t.Run(name+" to "+path[1:], func(t *testing.T) {
				w.refuses(t, tooMuch(), func() (blackbox.Response, error) { return blackbox.Do(t.Context(), w.issuer, r) })
				r.Headers = append(r.Headers, blackbox.Header{Name: "Connection", Value: "keep-alive"})
				w.hangsUp(t, r)
			})
		}
	}
	w.works(t, w.token(t))
}

// hangsUp checks that an instance itself closes the connection after it has refused, though it was asked to keep it.
func (w *world) hangsUp(t *testing.T, r blackbox.Request) {
	t.Helper()
	conn, err := net.Dial("tcp", w.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(blackbox.Timeout)); err != nil {
		t.Fatal(err)
	}
	res, err := blackbox.Exchange(conn, r.Method, r.Bytes(w.listen))
	if err != nil {
		t.Errorf("no answer: %v", err)
		return
	}
	tooMuch().check(t, res)
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection was left open after %s", res)
	}
}

func rx2(t *testing.T, w *world) {
	var many []blackbox.Header
	for i := range 10_000 {
		many = append(many, blackbox.Header{Name: fmt.Sprint("X-", i), Value: "1"})
	}
	for name, r := range map[string]blackbox.Request{
		"a header of 1 MB": {Method: "POST", Target: "/token", Headers: []blackbox.Header{formType, {Name: "X", Value: strings.Repeat("a", 1<<20)}}},
		"10 000 headers":   {Method: "POST", Target: "/token", Headers: append(many, formType)},
		"cookies":          {Method: "GET", Target: "/agents", Headers: []blackbox.Header{{Name: "Cookie", Value: strings.Repeat("a=b; ", 20_000)}}},
		"a URL of 100 kB":  {Method: "GET", Target: "/authorize?x=" + strings.Repeat("a", 100_000)},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, want{statuses: []int{414, 431}}, func() (blackbox.Response, error) { return blackbox.Do(t.Context(), w.direct(w.issuer), r) })
		})
	}
	w.works(t, w.token(t))
}

func rx3(t *testing.T, w *world) {
	form := w.flow().PushForm()
	detail := `{"type":"mcp_tool","locations":["` + w.r1.URL + `"],"tool":"get_ticket"}`
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(detail+",", n), ",") + "]" }
	w.refusesPush(t, want{statuses: []int{413}}, map[string]blackbox.Form{"1 MB": form.Set("authorization_details", `["`+strings.Repeat("a", 1<<20)+`"]`), "10 000 entries": form.Set("authorization_details", list(10_000))})
	w.refusesPush(t, E("invalid_authorization_details"), map[string]blackbox.Form{"300 entries": form.Set("authorization_details", list(300))})
}

func rx4(t *testing.T, w *world) {
	form := w.flow().PushForm().Without("authorization_details")
	many := form
	for i := range 500 {
		many = many.Add("resource", fmt.Sprintf("https://r%d.example/mcp", i))
	}
	w.refusesPush(t, E("invalid_scope", "invalid_request"), map[string]blackbox.Form{"10 000 scopes": form.Set("scope", strings.Repeat("a ", 9_999)+"a"), "a scope of 50 kB": form.Set("scope", strings.Repeat("a", 50_000))})
	w.refusesPush(t, E("invalid_target", "invalid_request"), map[string]blackbox.Form{"500 resources": many})
	for i := range 9_500 {
		many = many.Add("resource", fmt.Sprintf("https://r%d.example/mcp", i))
	}
	w.refusesPush(t, want{statuses: []int{413}}, map[string]blackbox.Form{"10 000 resources": many, "a scope of 1 MB": form.Set("scope", strings.Repeat("a", 1<<20))})
}

func rx5(t *testing.T, w *world) {
	form := w.flow().PushForm()
	details := func(s string) blackbox.Form { return form.Set("authorization_details", s) }
	w.refusesPush(t, E("invalid_authorization_details"), map[string]blackbox.Form{
		"15 000 deep": details(strings.Repeat("[", 15_000)), "2 500 members": details(`[{` + strings.TrimSuffix(strings.Repeat(`"a":1,`, 2_500), ",") + `}]`),
		"1e400": details(`[{"type":"mcp_task","purpose":"x","max_duration":1e400}]`), "an exponent": details(`[{"type":"mcp_task","purpose":"x","max_duration":1e99999999}]`),
		"lone surrogate": details(`[{"type":"mcp_task","purpose":"\udfff"}]`),
	})
	w.refusesPush(t, E("invalid_request"), map[string]blackbox.Form{"not UTF-8": details("[{\"type\":\"mcp_task\",\"purpose\":\"\xff\"}]")})
}

func rx6(t *testing.T, w *world) {
	form := w.flow().PushForm()
	for i := range 10_000 {
		form = append(form, blackbox.Param{Name: strconv.FormatInt(int64(i), 36), Value: ""})
	}
	w.refusesPush(t, E("invalid_request"), map[string]blackbox.Form{"10 000 parameters": form})
}

func rx14(t *testing.T, w *world) {
	f := w.token(t)
	id, key := w.guardOf(t, w.r1)
	tooMuch().check(t, mustPost(t, w.issuer+"/introspect", blackbox.Asserted(blackbox.Form{{Name: "token", Value: strings.Repeat("a", 1<<20)}}, key, blackbox.NewAssertion(id, w.issuer))))
	w.inactive(t, w.r1, strings.Repeat("a", 60_000))
	w.works(t, f)
}

func rx16(t *testing.T, w *world) {
	form := w.flow().PushForm()
	details := func(s string) blackbox.Form {
		return form.Set("authorization_details", strings.ReplaceAll(s, "R1", w.r1.URL))
	}
	w.refusesPush(t, E("invalid_authorization_details"), map[string]blackbox.Form{
		"another case": details(`[{"Type":"mcp_tool","locations":["R1"],"tool":"get_ticket"}]`), "a name twice": details(`[{"type":"mcp_tool","type":"mcp_tool","locations":["R1"],"tool":"get_ticket"}]`),
		"__proto__": details(`[{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket","__proto__":{}}]`), "BOM": details("\ufeff[]"), "behind it": details(`[{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket"}] []`),
	})
}

// TestAttackAdmin plays the rows of section 4.15 that a stranger can play at the console.
func TestAttackAdmin(t *testing.T) { play(t, map[string]row{"AD1": ad1, "AD3": ad3, "AD6": ad6}) }

var consolePages = []string{"/admin", "/admin/ended", "/admin/findings", "/admin/users", "/admin/clients", "/admin/resources", "/admin/keys"}

// staysOut checks that an answer of the console shows nothing of it: a page to sign in, or a refusal.
func staysOut(t *testing.T, at blackbox.Landing) {
	t.Helper()
	sane(t, at.Response)
	if _, signIn := at.Page.With("password"); signIn {
		jot(t, "the page to sign in")
		return
	}
	seen(t, at.Response)
	if at.Status != http.StatusForbidden && at.Status != http.StatusNotFound && at.Status != http.StatusUnauthorized {
		t.Errorf("the console answered: %s", at.Response)
	}
}

func ad1(t *testing.T, w *world) {
	for _, path := range consolePages {
		t.Run("a stranger at "+path[1:], func(t *testing.T) {
			at, err := (&blackbox.Browser{}).Get(t.Context(), w.issuer+path)
			if err != nil {
				t.Fatal(err)
			}
			staysOut(t, at)
		})
		t.Run("a user at "+path[1:], func(t *testing.T) {
			at, err := w.mara.Get(t.Context(), w.issuer+path)
			if err != nil {
				t.Fatal(err)
			}
			staysOut(t, at)
		})
	}
	for _, path := range []string{"/admin/api/users", "/admin/api/audit/records", "/admin/api/tasks"} {
		t.Run("the socket's "+path[1:], func(t *testing.T) {
			at, err := w.mara.Get(t.Context(), w.issuer+path)
			if err != nil || at.Status != http.StatusNotFound {
				t.Errorf("%v %s", err, at.Response)
			}
			seen(t, at.Response)
		})
	}
}

func ad3(t *testing.T, w *world) {
	f := w.token(t)
	for _, scheme := range []string{"Bearer", "DPoP"} {
		t.Run("an agent's token as "+scheme, func(t *testing.T) {
			res, err := blackbox.Get(t.Context(), w.issuer+"/admin/users", blackbox.Header{Name: "Authorization", Value: scheme + " " + f.Access()})
			if err != nil {
				t.Fatal(err)
			}
			if res.Status == http.StatusSeeOther {
				jot(t, "303 to the page to sign in")
				return
			}
			staysOut(t, blackbox.Landing{Response: res, Page: blackbox.ParsePage(w.issuer, res.Body)})
		})
	}
	w.works(t, f)
}

// ad6: no form of the console counts that an admin did not submit from there.
func ad6(t *testing.T, w *world) {
	f, chief := w.token(t), w.person(t, "chief", "admin")
	own, ok := w.sees(t, chief, "/admin/keys").Page.With("csrf")
	theirs, also := w.sees(t, w.mara, "/agents").Page.With("csrf")
	if !ok || !also {
		t.Fatal("no form with a token")
	}
	end := form("task", f.TaskID(), "reason", "INC-1", "shown", "1", "count", "1")
	for name, tt := range map[string]struct {
		form   blackbox.Form
		origin string
	}{
		"another origin": {end.Set("csrf", own.Filled().Get("csrf")), "https://evil.example"}, "no token": {end, w.issuer}, "a guess": {end.Set("csrf", blackbox.Random(24)), w.issuer},
		"another's token": {end.Set("csrf", theirs.Filled().Get("csrf")), w.issuer},
	} {
		t.Run(name, func(t *testing.T) {
			site := map[bool]string{true: "same-origin", false: "cross-site"}[tt.origin == w.issuer]
			w.refuses(t, want{statuses: []int{403}, page: true}, func() (blackbox.Response, error) {
				return mustPost(t, w.issuer+"/admin/end", tt.form, blackbox.Header{Name: "Cookie", Value: chief.Cookies()}, blackbox.Header{Name: "Origin", Value: tt.origin}, blackbox.Header{Name: "Sec-Fetch-Site", Value: site}), nil
			})
		})
	}
	w.works(t, f)
	if res := w.posts(t, chief, "/admin/end", end); res.Status >= 400 {
		t.Errorf("the admin's own form: %s", res)
	}
	w.dead(t, f)
}
