package main

// mutant is one line of the program with a check taken out of it.
type mutant struct {
	name string // what is no longer checked
	file string // from the root of the repository
	old  string // stands once in the file, whole lines without the space around them
	new  string
	pkg  string // whose tests should notice
	run  string // the tests that should do so
}

// mutants are the checks without which a promise falls, one per way in.
var mutants = []mutant{
	// Proofs and tokens.
	{
		"the proof's token hash", "tokens/dpop.go",
		`if c.ATH != want.TokenHash {`, `if false {`,
		"./tokens/resource", "TestRS3BadProofs|TestRS4StolenToken",
	},
	{
		"the proof's URI", "tokens/dpop.go",
		`if c.URI, err = NormalizeURI(c.URI); err != nil || c.URI != uri {`, `if c.URI, err = NormalizeURI(c.URI); err != nil {`,
		"./tokens", "TestParseProof",
	},
	{
		"the proof's age", "tokens/dpop.go",
		`case c.IssuedAt.IsZero(), c.IssuedAt.Before(want.Now.Add(-age)), c.IssuedAt.After(latest), c.notBefore.After(latest):`,
		`case c.IssuedAt.IsZero(), c.IssuedAt.After(latest), c.notBefore.After(latest):`,
		"./tokens", "TestParseProof",
	},
	{
		"the audience of a token", "tokens/access.go",
		`case want.Audience == "" || c.Audience != want.Audience:`, `case want.Audience == "":`,
		"./tokens", "TestVerifyAccessToken",
	},
	{
		"the expiry of a token seen before", "tokens/resource/token.go",
		`case !now.Before(b.Expires):`, `case now.Add(-leeway).After(b.Expires):`,
		"./tokens/resource", "TestRS9ExpiryIsJudgedEveryTime",
	},
	{
		"the key that a token is bound to", "tokens/resource/token.go",
		`case p.JKT != c.bearer.JKT:`, `case false:`,
		"./tokens/resource", "TestRS4StolenToken",
	},
	{
		"the epoch of a nonce", "tokens/nonce.go",
		`mac.Write([]byte(epoch))`, ``,
		"./tokens", "TestNonces",
	},
	{
		"a proof used before", "tokens/resource/replay.go",
		`m.young[key] = struct{}{}`, ``,
		"./tokens/resource", "TestNoncesAndReplay",
	},
	{
		"that a bearer token was asked for by the policy", "tokens/resource/token.go",
		`if c.dpop || len(c.r.Header.Values("DPoP")) > 0 || c.rules.Bearer() == policy.BearerNone {`,
		`if c.dpop || len(c.r.Header.Values("DPoP")) > 0 || c.rules.Bearer() == policy.BearerNone && c.dpop {`,
		"./tokens/resource", "TestBearerByPolicy|TestRS5to11BadTokens",
	},

	// The Guard.
	{
		"the definition that was consented to", "tokens/resource/authorize.go",
		`if d := c.reach.detail; d != nil && d.Definition != live.definition {`, `if d := c.reach.detail; d != nil && false {`,
		"./tokens/resource", "TestDefinitionChanged",
	},
	{
		"the user's roles", "tokens/resource/authorize.go",
		`if c.reach.check == policy.CheckRole {`, `if false {`,
		"./tokens/resource", "TestRefusedByRole",
	},
	{
		"the consent's limits on arguments", "tokens/resource/authorize.go",
		`canonical, err := consent.CheckUnder(v.ceiling, c.msg.arguments, schema)`,
		`canonical, err := append([]tokens.Constraints{{}}, consent)[0].CheckUnder(v.ceiling, c.msg.arguments, schema)`,
		"./tokens/resource", "TestRM3Arguments",
	},
	{
		"the epoch at the Guard", "tokens/resource/view.go",
		`if v.before != 0 && b.IssuedAt.Unix() <= v.before {`, `if false {`,
		"./tokens/resource", "TestEpoch",
	},
	{
		"the age of the Guard's view", "tokens/resource/view.go",
		`return !v.heard.IsZero() && now.Sub(v.heard) <= v.staleAfter && now.Sub(v.issued) <= v.staleAfter`,
		`return !v.heard.IsZero()`,
		"./tokens/resource", "TestRS15NoFeed",
	},
	{
		"that the feed has no gap", "tokens/resource/feed.go",
		`if e.Seq != l.seq+1 {`, `if false {`,
		"./tokens/resource", "TestGapInTheFeed",
	},

	{
		"the hash of a grant that was fetched", "tokens/resource/grants.go",
		`if tokens.HashBytes(raw) != hash {`, `if false {`,
		"./tokens/resource", "TestLargeGrantFailsClosed",
	},

	// The authorization server.
	{
		"the client of a code", "server/provider/code.go",
		`case st.Code.ClientID != in.Client.ID:`, `case false:`,
		"./server", "TestCodeTraps",
	},
	{
		"the key of a code", "server/provider/code.go",
		`case st.Code.JKT != "" && st.Code.JKT != in.JKT: // RFC 9449 §10`, `case false:`,
		"./server", "TestCodeTraps",
	},
	{
		"the verifier of PKCE", "tokens/pkce.go",
		`subtle.ConstantTimeCompare([]byte(S256(verifier)), []byte(challenge)) == 1`, `subtle.ConstantTimeCompare([]byte(verifier), []byte(verifier)) == 1`,
		"./tokens", "TestPKCE",
	},
	{
		"the key of a step-up", "server/stepup.go",
		`if t.ClientID != ask.ClientID || t.JKT == "" || t.JKT != ask.JKT || t.Parent != "" || !consent.Extendable(t) {`,
		`if t.ClientID != ask.ClientID || t.JKT == "" || t.Parent != "" || !consent.Extendable(t) {`,
		"./server", "TestStepUpRefused",
	},
	{
		"the key of a refresh token", "server/provider/refresh.go",
		`case st.Token.JKT != in.JKT: // RFC 9449 §5: the binding is the token's, not a client flag's`, `case false:`,
		"./server", "TestRefreshTraps",
	},
	{
		"the key of a device's code", "server/device.go",
		`if d.ClientID != g.client.ID || d.JKT != "" && d.JKT != g.jkt {`, `if d.ClientID != g.client.ID {`,
		"./server", "TestDeviceFlow",
	},
	{
		"that strangers' clients are not redirected to unasked", "server/prompt.go",
		`if !redirectAllowed(client, ask.RedirectURI) || v == nil && client.Origin != store.ByAdmins {`, `if !redirectAllowed(client, ask.RedirectURI) {`,
		"./server", "TestPromptNoneOfAStranger",
	},
	{
		"redirects, letter by letter", "server/redirect.go",
		`if raw == registered {`, `if strings.HasPrefix(raw, registered) {`,
		"./server", "TestRedirectAllowed|TestRedirectTraps",
	},
	{
		"whether a revocation was stored", "server/revoke.go",
		`if errors.Is(err, store.ErrTaskEnded) {`, `if err != nil {`,
		"./server", "TestRevocationTellsTheTruth",
	},
	{
		"how often a task is handed on", "server/provider/exchange.go",
		`case len(chain) >= maxActors:`, `case false:`,
		"./server", "TestSubAgent|TestAttackExchange",
	},
	{
		"that a sub-agent's tools were granted", "server/provider/exchange.go",
		`if detail, err = cut(granted, asked); err != nil {`, `if detail, err = asked, nil; err != nil {`,
		"./server", "TestSubAgent|TestAttackExchange",
	},
	{
		"the form's token", "server/session.go",
		`if v == nil || !hmac.Equal([]byte(form.Get(web.FieldCSRF)), []byte(s.formToken(v, "page"))) {`, `if v == nil || !hmac.Equal([]byte(form.Get(web.FieldCSRF)), []byte(form.Get(web.FieldCSRF))) {`,
		"./server", "TestConsentFormBelongsToItsPage",
	},
	{
		"the request that a consent form was made for", "server/decide.go",
		`if !hmac.Equal([]byte(form.Get("shown")), []byte(s.formToken(v, "consent", secret, digest, earlier))) {`,
		`if !hmac.Equal([]byte(form.Get("shown")), []byte(form.Get("shown"))) {`,
		"./server", "TestConsentFormBelongsToItsPage",
	},
	{
		"whose assertion it is", "tokens/assertion.go",
		`case clientID == "" || c.issuer != clientID || c.subject != clientID:`, `case clientID == "":`,
		"./tokens", "TestVerifyAssertion",
	},
	{
		"an assertion used before", "server/clientauth.go",
		`err = s.store.Spend(ctx, store.Once{ID: store.HashOf("client assertion\x00" + clientID + "\x00" + a.ID), Until: a.Expires.Add(assertionSpare)})`,
		`_ = a`,
		"./server", "TestGuardAuthentication",
	},
	{
		"what a Guard signed of a batch", "server/executions_said.go",
		`c.Count != int64(len(b.Records)) || c.Digest != tokens.BatchDigest(p.Digests) {`, `c.Count != int64(len(b.Records)) {`,
		"./server", "TestBatchSignatureRefused",
	},
	{
		"the addresses that may be connected to", "server/fetch/address.go",
		`if err := rules.Safe(network, address, raw); err != nil {`, `if err := rules.Safe(network, address, raw); false {`,
		"./server/fetch", "TestDialRefuses",
	},
	{
		"limits of rate", "server/limits.go",
		`if !ok {`, `if !ok && wait < 0 {`,
		"./server", "TestAddressesAreLimited|TestRefreshesAreLimited",
	},

	// The store. Whether the task of a refresh token has ended is not here: the provider asks before it signs,
	// and the rotation asks twice, so that any one of the three may go and nothing is seen of it.
	{
		"whether the task of a refresh token sleeps", "store/sqlite/rotation.go",
		`if err := running(old.task); err != nil {`, `if err := running(old.task); err != nil && old.task.State.Terminal() {`,
		"./store/sqlite", "TestStore",
	},
	{
		"a task's budget, by one", "store/sqlite/budget.go",
		`if s.task.MaxCalls > 0 && s.task.CallsUsed >= s.task.MaxCalls {`, `if s.task.MaxCalls > 0 && s.task.CallsUsed > s.task.MaxCalls {`,
		"./store/sqlite", "TestStore",
	},
	{
		"the arguments of an approved call", "store/sqlite/approvals.go",
		`WHERE p.task_id = ?1 AND p.asked_at >= 0 AND p.resource = ?2 AND p.tool = ?3 AND p.definition = ?4 AND p.digest = ?5`,
		`WHERE p.task_id = ?1 AND p.asked_at >= 0 AND p.resource = ?2 AND p.tool = ?3 AND p.definition = ?4 AND ?5 != ''`,
		"./server", "TestApprovalIsExact",
	},
}
