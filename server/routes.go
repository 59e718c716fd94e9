package server

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// route is one line of the map.
type route struct {
	method, path string
	serve        http.HandlerFunc
}

// publicRoutes are all that the public listener answers, relative to the issuer's path.
func (s *Server) publicRoutes() []route {
	return append([]route{
		{"GET", "/jwks", s.protocol(s.jwks)},                                    // RFC 7517
		{"GET", "/authorize", s.page(s.authorize)},                              // OAuth 2.1 §4.1.1
		{"POST", "/authorize", s.page(s.authorize)},                             // OAuth 2.1 §3.1
		{"POST", "/par", s.protocol(s.par)},                                     // RFC 9126
		{"POST", "/token", s.protocol(s.token)},                                 // OAuth 2.1 §3.2, RFC 9449 §5
		{"POST", "/revoke", s.protocol(s.revoke)},                               // RFC 7009
		{"POST", "/introspect", s.protocol(s.introspect)},                       // RFC 7662
		{"POST", "/register", s.protocol(s.register)},                           // RFC 7591
		{"GET", "/tasks/{id}", s.protocol(s.showTask)},                          // what the agent may still do
		{"POST", "/tasks/{id}/complete", s.protocol(s.completeTask)},            // the agent has finished
		{"POST", "/tasks/{id}/suspend", s.protocol(s.suspendTask)},              // the agent pauses
		{"POST", "/tasks/{id}/resume", s.protocol(s.resumeTask)},                // and goes on
		{"POST", "/enroll", s.protocol(s.enroll)},                               // a Guard's first words
		{"PUT", "/manifest", s.protocolLarge(s.publishManifest)},                // policy and live tools
		{"GET", "/feed", s.protocol(s.feed)},                                    // RFC 8417 over server-sent events
		{"POST", "/feed/ack", s.protocol(s.ackFeed)},                            // "applied up to here"
		{"POST", "/executions", s.protocolLarge(s.appendExecutions)},            // the Guard's half of the ledger
		{"POST", "/executions/reserve", s.protocol(s.reserve)},                  // budgets
		{"POST", "/approvals", s.protocolLarge(s.askApproval)},                  // may this one call run?
		{"GET", "/approvals/{id}", s.page(s.approval)},                          // the call, to its user
		{"POST", "/approvals/{id}", s.page(s.decideApproval)},                   // allow or deny it
		{"GET", "/tasks/{id}/approvals/{approval}", s.protocol(s.showApproval)}, // how it stands, to the agent
		{"GET", "/grants/{hash}", s.protocol(s.grant)},                          // details too large for a token
		{"GET", "/userinfo", s.protocol(s.userinfo)},                            // OpenID Connect Core 1.0 §5.3
		{"POST", "/userinfo", s.protocol(s.userinfo)},                           //
		{"GET", "/logout", s.page(s.logout)},                                    // OpenID Connect RP-Initiated Logout 1.0 §2
		{"POST", "/logout", s.page(s.logout)},                                   //
		{"GET", "/signin", s.page(s.askSignIn)},                                 // who is there?
		{"POST", "/signin", s.page(s.signIn)},                                   // e-mail and password
		{"POST", "/signin/code", s.page(s.signInCode)},                          // RFC 6238
		{"POST", "/signin/passkey", s.page(s.signInPasskey)},                    // WebAuthn Level 3
		{"GET", "/signin/with/{provider}", s.page(s.signInWith)},                // OpenID Connect Core 1.0 §3.1
		{"GET", "/signin/from/{provider}", s.page(s.signInFrom)},                // and back
		{"POST", "/logout/from/{provider}", s.protocol(s.logoutFrom)},           // OpenID Connect Back-Channel Logout 1.0 §2.5
		{"GET", "/setup", s.page(s.setUp)},                                      // the first admin
		{"POST", "/setup", s.page(s.setUp)},                                     //
		{"GET", "/account", s.page(s.account)},                                  // how a user signs in, and where
		{"POST", "/account", s.page(s.changeAccount)},                           //
		{"GET", "/account/codes", s.page(s.setUpCodes)},                         // a second factor
		{"POST", "/account/codes", s.page(s.setUpCodes)},                        //
		{"GET", "/account/export", s.page(s.export)},                            // all that is kept of a user
		{"POST", "/signout", s.page(s.signOut)},                                 //
		{"POST", "/consent", s.page(s.decide)},                                  // allow or deny
		{"POST", "/device", s.protocol(s.device)},                               // RFC 8628 §3.1
		{"GET", "/activate", s.page(s.activatePage)},                            // RFC 8628 §3.3
		{"POST", "/activate", s.page(s.activate)},                               // the code that the device shows
		{"GET", "/activate/qr/{code}", s.protocol(s.activateQR)},                // the page's address, to be scanned
		{"GET", "/agents", s.page(s.agents)},                                    // the user's own tasks
		{"POST", "/agents", s.page(s.moveAgents)},                               // end, suspend, resume
		{"GET", "/agents/live", s.page(s.agentsLive)},                           // that something has moved
		{"GET", "/worker.js", s.worker},                                         // wakes for push messages, RFC 8030
		{"GET", "/agents/{id}", s.page(s.taskCalls)},                            // all calls of one task
		{"GET", "/agents/{id}/tools", s.page(s.changeTools)},                    // what it may do, to be cut down
		{"POST", "/agents/{id}/tools", s.page(s.narrowTask)},                    //
		{"GET", "/agents/{id}/more", s.page(s.allowMore)},                       // asks the user about a tool that was refused
	}, s.consolePages()...) // viewers, revokers, admins: console.go
}

// routes builds the public handler: metadata at every well-known form, then the map.
func (s *Server) routes() http.Handler {
	root := chi.NewRouter()
	for _, path := range s.wellKnownPaths() {
		root.Get(path, s.protocol(s.metadata))
	}
	for _, rt := range s.publicRoutes() {
		root.Method(rt.method, s.base+rt.path, s.unlessBehind(rt.path, rt.serve))
	}
	root.Method(http.MethodGet, s.base+"/static/*", web.Static()) // hash-named files
	root.Method(http.MethodGet, s.base+"/brand/*", s.brand.Serve())
	root.NotFound(s.notFound)
	root.MethodNotAllowed(s.methodNotAllowed)
	return named(s.recovered(s.admission(root), s.refusePanicked))
}

// notFound answers paths that are not on the map; it never redirects to a cleaned path.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusNotFound, oauth.Refuse(oauth.InvalidRequest, "there is nothing here"))
}

func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	for _, rt := range s.publicRoutes() {
		if rt.path == r.URL.Path[min(len(s.base), len(r.URL.Path)):] {
			w.Header().Add("Allow", rt.method)
		}
	}
	s.refuse(w, r, &oauth.Error{Code: oauth.InvalidRequest, Description: "this method is not served here", HTTPStatus: http.StatusMethodNotAllowed})
}

// named gives each request a name of its own, which its answer, the ledger and the log tell. What a caller
// names its request is not believed: it could be another's.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := tokens.NewID("req_")
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(store.WithRequest(r.Context(), id)))
	})
}
