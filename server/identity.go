package server

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// clientHost is by what a client is known: the host of a client_id that is a URL, or the name that
// the admin gave. The name that a client gave itself is never it. Hosts are shown as they are
// compared, in ASCII, so that letters of other scripts cannot imitate one.
func clientHost(ctx context.Context, c store.Client) string {
	switch c.Origin {
	case store.ByDocument:
		if u, err := url.Parse(c.ID); err == nil {
			return u.Host
		}
		return c.ID
	case store.ByRegistration:
		return say(ctx, textUnverified)
	}
	return c.Metadata.ClientName
}

// clientCard says who asks, and how far that is certain.
func clientCard(ctx context.Context, c store.Client, ask consent.Ask) web.ClientCard {
	card := web.ClientCard{
		Name: c.Metadata.ClientName, Initial: initial(c.Metadata.ClientName),
		RedirectTone: web.ToneInfo, KeyBound: !ask.Bearer, Own: ask.Own,
	}
	if ask.Redirects() {
		card.RedirectHost = redirectHost(ask.RedirectURI)
	}
	if ask.Device != "" {
		card.Words, card.RedirectNote, card.RedirectTone = ask.Words, say(ctx, textDeviceNote), web.ToneWarn
	}
	local := false // the browser goes to a program on the user's device
	u, err := url.Parse(ask.RedirectURI)
	switch {
	case err != nil, !ask.Redirects():
	case u.Host == "":
		card.RedirectNote, card.RedirectTone, local = say(ctx, textRedirectScheme), web.ToneWarn, true
	case isLoopbackHost(u.Hostname()):
		card.RedirectNote, card.RedirectTone, card.Loopback, local = say(ctx, textRedirectLocal), web.ToneWarn, true, true
	}
	switch c.Origin {
	case store.ByDocument:
		card.Host = clientHost(ctx, c)
		card.Grade, card.GradeNote, card.GradeTone = documentGrade(ctx, card.Host, u, local)
	case store.ByRegistration:
		card.Title, card.Unverified = say(ctx, textUnverified), true
		card.Grade, card.GradeNote, card.GradeTone = say(ctx, textGradeNone), say(ctx, textGradeNoneNote), web.ToneBad
	default:
		card.Title, card.Grade, card.GradeTone = c.Metadata.ClientName, say(ctx, textGradeAdmin), web.ToneOK
	}
	return card
}

// documentGrade is how far a client is certain whose domain vouches for its metadata: wholly, when the
// browser goes back to that domain; otherwise whoever answers there may be somebody else.
func documentGrade(ctx context.Context, host string, redirect *url.URL, local bool) (grade, note, tone string) {
	switch {
	case local:
		return say(ctx, textGradeDomain), say(ctx, textGradeLocalNote), web.ToneWarn
	case redirect != nil && redirect.Scheme == "https" && sameSite(hostname(host), redirect.Hostname()):
		return say(ctx, textGradeVerified), "", web.ToneOK
	}
	return say(ctx, textGradeDomain), say(ctx, textGradeElsewhereNote), web.ToneWarn
}

func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

// sameSite reports whether two hosts belong to one registrable domain.
func sameSite(a, b string) bool {
	if a == b {
		return true
	}
	x, err1 := publicsuffix.EffectiveTLDPlusOne(a)
	y, err2 := publicsuffix.EffectiveTLDPlusOne(b)
	return err1 == nil && err2 == nil && x == y
}

func redirectHost(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	if u.Host == "" {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

func initial(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return "?"
}

// shownDigest names what a consent page shows: the offer, and who asks. A form counts for that alone.
func shownDigest(o consent.Offer, c store.Client) string {
	return tokens.HashBytes([]byte(o.Digest() + "\n" + metadataDigest(c)))
}

// clientHistory says how the user has met this client before, and what it has changed of itself since.
func (s *Server) clientHistory(ctx context.Context, v *visitor, c store.Client) (history, changes string, err error) {
	times, last, err := s.store.TaskHistory(ctx, v.User.ID, c.ID)
	if err != nil {
		return "", "", err
	}
	if times == 0 {
		history, err = s.firstTime(ctx, c)
		return history, "", err
	}
	history = say(ctx, textTimesBefore, times, sayTime(ctx, last, formDay))
	if times == 1 {
		history = say(ctx, textOnceBefore, sayTime(ctx, last, formDay))
	}
	if c.Origin != store.ByDocument {
		return history, "", nil
	}
	then, err := s.store.MetadataAt(ctx, c.ID, last)
	if errors.Is(err, store.ErrClientNotFound) {
		return history, "", nil
	}
	if err != nil {
		return "", "", err
	}
	if parts := documentChanges(ctx, then, c.Metadata); len(parts) > 0 {
		changes = say(ctx, textClientChanged, clientHost(ctx, c), sayTime(ctx, last, formDay), strings.Join(parts, "; "))
	}
	return history, changes, nil
}

// firstTime says that the user has not met this client, and whether anybody here has. Of the others it
// says neither who nor how many.
func (s *Server) firstTime(ctx context.Context, c store.Client) (string, error) {
	tasks, err := s.store.TaskList(ctx, store.TaskFilter{ClientID: c.ID, Begun: true, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(tasks) == 0 {
		return say(ctx, textFirstOfAll), nil
	}
	return say(ctx, textFirstTime), nil
}

// documentChanges says what differs for the user between two versions of a client's metadata.
func documentChanges(ctx context.Context, then, now store.ClientMetadata) (parts []string) {
	if then.ClientName != now.ClientName {
		parts = append(parts, say(ctx, textNameChanged, then.ClientName, now.ClientName))
	}
	if added := missing(now.RedirectURIs, then.RedirectURIs); added != "" {
		parts = append(parts, say(ctx, textRedirectAdded, added))
	}
	if removed := missing(then.RedirectURIs, now.RedirectURIs); removed != "" {
		parts = append(parts, say(ctx, textRedirectRemoved, removed))
	}
	if then.TokenEndpointAuthMethod != now.TokenEndpointAuthMethod {
		parts = append(parts, say(ctx, textMethodChanged))
	}
	if string(then.JWKS) != string(now.JWKS) || then.JWKSURI != now.JWKSURI {
		parts = append(parts, say(ctx, textKeysChanged))
	}
	return parts
}

// missing lists what is in all and not in others, the first few of it.
func missing(all, others []string) string {
	var list []string
	for _, s := range all {
		if !slices.Contains(others, s) {
			list = append(list, s)
		}
	}
	if len(list) > 3 {
		list = append(list[:3], "…")
	}
	return strings.Join(list, ", ")
}
