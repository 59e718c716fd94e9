// Package web renders the pages that people see: sign-in, consent, messages and their agents.
// It owns the words, the marks and the style sheet. It is given a view struct per page and holds
// no rule: what is offered, ticked or refused is decided before.
//
// Pages need no JavaScript and contain none, nor any inline style, so that they work under
// "default-src 'none'; style-src 'self'; img-src 'self'". The agents pages alone link one script
// file, which keeps them up to date and adds nothing that a reload would not show. Text of
// strangers (names, purposes, tool texts) is escaped by templ, stripped of invisible characters,
// capped and isolated in <bdi>.
//
//	signin.templ   SignInPage
//	consent.templ  ConsentPage   RFC 6749 §3.1, RFC 9396 §11
//	message.templ  MessagePage
//	agents.templ   AgentsPage, CallsPage
//	console.templ  the pages of viewers, revokers and admins; console_parts.templ what they are made of
//	layout.templ   the frame around all of them, icons.templ the marks
//	words.go       every text that the pages say on their own; words_de.go the same in German
//	language.go    which language is spoken: ui_locales, else Accept-Language, else English
//	plain.go       what is done to a stranger's text before it is shown
//	static.go      the embedded style sheet and script, hash-named
package web

//go:generate go tool templ generate
