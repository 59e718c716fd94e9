package blackbox

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
)

// Browser is a person's browser with scripts off: it keeps cookies, follows redirects inside the
// origin that it was pointed at, and stops where they leave it.
type Browser struct {
	Email, Password string
	cookies         map[string]string
}

// Landing is where a browser came to rest.
type Landing struct {
	Response
	URL  string // of the page, or the foreign address that it was sent to
	Left bool   // true: the last answer redirected to another origin, at URL
	Page Page
}

// Query returns a parameter of the address that the browser was sent to.
func (l Landing) Query(name string) string {
	u, err := url.Parse(l.URL)
	if err != nil {
		return ""
	}
	return u.Query().Get(name)
}

// Cookies is the Cookie header that the browser would send.
func (b *Browser) Cookies() string {
	var s string
	for name, value := range b.cookies {
		if s != "" {
			s += "; "
		}
		s += name + "=" + value
	}
	return s
}

// Forget drops all cookies.
func (b *Browser) Forget() { b.cookies = nil }

// Get opens a page.
func (b *Browser) Get(ctx context.Context, address string) (Landing, error) {
	return b.follow(ctx, "GET", address, nil)
}

// Post submits a form to an address.
func (b *Browser) Post(ctx context.Context, address string, form Form) (Landing, error) {
	return b.follow(ctx, "POST", address, form)
}

// Submit submits a page's form with these parameters.
func (b *Browser) Submit(ctx context.Context, p Page, f PageForm, form Form) (Landing, error) {
	base, err := url.Parse(p.URL)
	if err != nil {
		return Landing{}, err
	}
	target, err := base.Parse(f.Action)
	if err != nil {
		return Landing{}, err
	}
	if f.Method != "POST" {
		return Landing{}, fmt.Errorf("blackbox: form at %s is submitted by %q", p.URL, f.Method)
	}
	return b.follow(ctx, "POST", target.String(), form)
}

// Together submits a page's form from several windows at once, one for each of the answers, and
// follows no redirect. An answer that did not come has no status.
func (b *Browser) Together(ctx context.Context, p Page, f PageForm, answers ...Form) ([]Response, error) {
	base, err := url.Parse(p.URL)
	if err != nil {
		return nil, err
	}
	target, err := base.Parse(f.Action)
	if err != nil {
		return nil, err
	}
	cookies, origin := b.Cookies(), target.Scheme+"://"+target.Host
	all := make([]Response, len(answers))
	var sent sync.WaitGroup
	for i, answer := range answers {
		sent.Go(func() {
			all[i], _ = Post(ctx, target.String(), answer, Header{"Accept", "text/html"}, Header{"Cookie", cookies}, Header{"Origin", origin}, Header{"Sec-Fetch-Site", "same-origin"})
		})
	}
	sent.Wait()
	return all, nil
}

// Fill is the form as the person fills it in.
func (c Choice) Fill(form PageForm) Form { return c.fill(form) }

func (b *Browser) follow(ctx context.Context, method, address string, form Form) (Landing, error) {
	for range 10 {
		u, err := url.Parse(address)
		if err != nil {
			return Landing{}, err
		}
		res, err := b.exchange(ctx, method, u, form)
		if err != nil {
			return Landing{}, err
		}
		location := res.Header.Get("Location")
		if res.Status/100 != 3 || location == "" {
			return Landing{Response: res, URL: address, Page: ParsePage(address, res.Body)}, nil
		}
		next, err := u.Parse(location)
		if err != nil {
			return Landing{}, err
		}
		if next.Scheme != u.Scheme || next.Host != u.Host {
			return Landing{Response: res, URL: next.String(), Left: true}, nil
		}
		if res.Status != http.StatusTemporaryRedirect && res.Status != http.StatusPermanentRedirect {
			method, form = "GET", nil
		}
		address = next.String()
	}
	return Landing{}, fmt.Errorf("blackbox: too many redirects, the last to %s", address)
}

func (b *Browser) exchange(ctx context.Context, method string, u *url.URL, form Form) (Response, error) {
	r := Request{Method: method, Target: u.RequestURI(), Headers: []Header{{"Accept", "text/html"}}}
	if c := b.Cookies(); c != "" {
		r.Headers = append(r.Headers, Header{"Cookie", c})
	}
	if method == "POST" {
		r.Headers = append(r.Headers,
			Header{"Content-Type", "application/x-www-form-urlencoded"},
			Header{"Origin", u.Scheme + "://" + u.Host},
			Header{"Sec-Fetch-Site", "same-origin"})
		r.Body = []byte(form.Encode())
	}
	res, err := Do(ctx, u.Scheme+"://"+u.Host, r)
	if err != nil {
		return Response{}, err
	}
	for _, c := range (&http.Response{Header: res.Header}).Cookies() {
		if b.cookies == nil {
			b.cookies = map[string]string{}
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return res, nil
}

// Choice is what a person decides on the consent page. Nil tools and no duration keep what the
// page proposes.
type Choice struct {
	Tools    []string
	Duration int // seconds
	Deny     bool
}

// SignIn fills in the sign-in form when the browser stands on one.
func (b *Browser) SignIn(ctx context.Context, at Landing) (Landing, error) {
	form, ok := at.Page.With("password")
	if at.Left || !ok {
		return at, nil
	}
	next, err := b.Submit(ctx, at.Page, form, form.Filled().Set("email", b.Email).Set("password", b.Password))
	if err != nil {
		return next, err
	}
	if _, again := next.Page.With("password"); again {
		return next, fmt.Errorf("blackbox: sign-in refused: %s", next.Response)
	}
	return next, nil
}

// Decide fills in the consent form that the browser stands on.
func (b *Browser) Decide(ctx context.Context, at Landing, c Choice) (Landing, error) {
	page, form, ok := ConsentForm(at)
	if !ok {
		return at, fmt.Errorf("blackbox: no consent form at %s: %s", at.URL, at.Response)
	}
	return b.Submit(ctx, page, form, c.fill(form))
}

// ConsentForm finds the consent form of a landing.
func ConsentForm(at Landing) (Page, PageForm, bool) {
	form, ok := at.Page.With("decision")
	return at.Page, form, ok && !at.Left
}

func (c Choice) fill(form PageForm) Form {
	out := form.Filled()
	if c.Tools != nil {
		out = out.Without("tool")
		for _, t := range c.Tools {
			out = out.Add("tool", t)
		}
	}
	if c.Duration > 0 {
		out = out.Set("duration", strconv.Itoa(c.Duration))
	}
	if c.Deny {
		return out.Set("decision", "deny")
	}
	return out.Set("decision", "allow")
}

// Consent opens the authorization URL, signs in if asked, and decides. It comes to rest at the
// client's redirect URI.
func (b *Browser) Consent(ctx context.Context, authorizeURL string, c Choice) (Landing, error) {
	at, err := b.Get(ctx, authorizeURL)
	if err != nil {
		return at, err
	}
	if at, err = b.SignIn(ctx, at); err != nil {
		return at, err
	}
	return b.Decide(ctx, at, c)
}
