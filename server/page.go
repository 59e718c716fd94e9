package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// page serves an endpoint that people see: its refusals are pages, its forms same-origin alone.
func (s *Server) page(h handler) http.HandlerFunc {
	origins := http.NewCrossOriginProtection()
	return func(w http.ResponseWriter, r *http.Request) {
		r = speak(r, r.URL.Query().Get(fieldLocales))
		r.Body = http.MaxBytesReader(w, r.Body, oauth.MaxBody+1)
		// A cross-site POST of an authorization request is lawful (OAuth 2.1 §3.1) and changes nothing.
		// So is one that asks for a sign-out, which the user is then asked about.
		if r.URL.Path != s.base+"/authorize" && r.URL.Path != s.base+"/logout" {
			if err := origins.Check(r); err != nil {
				s.refusePage(w, r, errForm)
				return
			}
		}
		if err := h(w, r); err != nil {
			s.refusePage(w, r, wire(err))
		}
	}
}

// refusePage shows a refusal to a person; it never redirects.
func (s *Server) refusePage(w http.ResponseWriter, r *http.Request, e *oauth.Error) {
	s.note(r, e)
	status := e.Status()
	switch status {
	case http.StatusUnauthorized:
		status = http.StatusBadRequest
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		setRetryAfter(w, e)
	}
	v, err := s.visitor(r)
	if err != nil {
		v = nil
	}
	text, detail := sayRefusal(r.Context(), e)
	err = s.render(w, r, status, web.MessagePage(web.Message{
		Page: s.frame(r.Context(), v), Title: say(r.Context(), textRefusedTitle), Text: text, Detail: detail + " · " + store.RequestOf(r.Context()), Tone: web.ToneBad,
	}))
	switch {
	case errors.Is(err, context.Canceled): // whoever asked has left, which strangers can do as often as they like
		s.log.Debug("page not written", "err", err)
	case err != nil:
		s.log.Error("page not written", "err", err)
	}
}

// sayRefusal tells a refusal in the page's language. What is said to an app's developer is no sentence
// and in English alone: it is kept for whoever is asked for help.
func sayRefusal(ctx context.Context, e *oauth.Error) (text, detail string) {
	text = say(ctx, e.Description)
	first, _ := utf8.DecodeRuneInString(e.Description)
	if web.Language(ctx) == web.English || text != e.Description || unicode.IsUpper(first) { // said already
		return text, string(e.Code)
	}
	return say(ctx, textRefusedOther), string(e.Code) + ": " + e.Description
}

// frame is what the header of every page shows.
func (s *Server) frame(ctx context.Context, v *visitor) web.Page {
	p := web.Page{Operator: s.operator, Brand: s.brand, Dev: s.insecure, Base: s.base}
	if v != nil {
		p.Email, p.SignOut, p.CSRF = v.User.Email, s.base+"/signout", s.formToken(v, "page")
		p.Account = s.base + "/account"
		if reaches(v.User.ConsoleRole, store.RoleViewer) {
			p.Other = web.Link{Text: say(ctx, textConsole), Href: s.base + "/admin"}
		}
	}
	return p
}

// render writes a page whole or not at all, under the policy that every page shares.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	return s.renderUnder(w, r, status, c, "")
}

// renderLive is render for a page that its one script file keeps up to date.
func (s *Server) renderLive(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	return s.renderUnder(w, r, status, c, "; script-src 'self'; connect-src 'self'")
}

// renderScripted is render for a page with a script file that asks the server nothing.
func (s *Server) renderScripted(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	return s.renderUnder(w, r, status, c, "; script-src 'self'")
}

// renderTo is render for a page whose form ends in a redirect to another origin: browsers hold
// such redirects against form-action, so the vetted target stands in it.
func (s *Server) renderTo(w http.ResponseWriter, r *http.Request, status int, c templ.Component, redirectURI string) error {
	return s.renderUnder(w, r, status, c, formTarget(redirectURI))
}

// renderUnder writes the page under the shared policy, whose last directive is form-action, with more to it.
func (s *Server) renderUnder(w http.ResponseWriter, r *http.Request, status int, c templ.Component, more string) error {
	var body bytes.Buffer
	if err := c.Render(r.Context(), &body); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", web.Language(r.Context()))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"+more)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if !s.insecure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	w.WriteHeader(status)
	_, err := w.Write(body.Bytes())
	return err
}

// formTarget is the source expression of a vetted redirect URI.
func formTarget(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if redirectURI == "" || err != nil {
		return ""
	}
	if u.Host == "" {
		return " " + u.Scheme + ":"
	}
	if strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") != "" {
		return ""
	}
	if strings.HasPrefix(u.Host, "[") { // CSP has no source expression for an IPv6 literal
		return " " + u.Scheme + ":"
	}
	return " " + u.Scheme + "://" + u.Host
}
