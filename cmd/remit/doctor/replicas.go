package doctor

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// asked is how often the server is asked again, each time on a connection of its own, so that a load
// balancer sends the requests to all that stand behind it.
const asked = 12

// replicas looks for several servers behind one URL that do not share what they must. A nonce names
// the memory of used proofs that gave it (RFC 9449 §8): one memory changes its nonce once in a while
// and never goes back; several take turns.
func (e *exam) replicas() {
	const name = "replicas"
	var nonces, challenges []string
	for range asked {
		res, err := e.again()
		if err != nil {
			e.broken(name, "it does not answer every time: "+err.Error(), "take the replica that does not answer out of the load balancer")
			return
		}
		if res.StatusCode != http.StatusUnauthorized {
			e.broken(name, "one request without a token is answered with 401, another with "+res.Status, "run the same version and configuration on every replica, each behind its Guard")
			return
		}
		nonces = append(nonces, res.Header.Get("DPoP-Nonce"))
		challenges = append(challenges, strings.Join(res.Header.Values("WWW-Authenticate"), ", "))
	}
	turns, memories := 0, 1
	for i := 1; i < len(nonces); i++ {
		if nonces[i] == nonces[i-1] {
			continue
		}
		turns++
		if !slices.Contains(nonces[:i], nonces[i]) {
			memories++
		}
	}
	slices.Sort(challenges)
	switch {
	case len(slices.Compact(challenges)) > 1:
		e.broken(name, "replicas send different challenges", "give every replica the same resource URL and policy")
	case turns > 1:
		e.broken(name, fmt.Sprintf("%d of %d requests were answered with another nonce than the one before (%d in all): replicas that do not share their memory of used proofs, so that agents are told use_dpop_nonce again and again, and a stolen proof works once at each", turns, asked, memories), "let the replicas share tokens/resource/redisreplay, or let the load balancer send each agent to one replica")
	case nonces[0] == "":
		e.warn(name, "no DPoP-Nonce with the challenge: proofs are not tied to this server's memory of used ones", "let every 401 give a nonce, as a Guard does (RFC 9449 §8)")
	default:
		e.ok(name, fmt.Sprintf("%d requests, one memory of used proofs", asked))
	}
}

// again asks without a token, on a new connection.
func (e *exam) again() (*http.Response, error) {
	req, err := http.NewRequestWithContext(e.ctx, http.MethodPost, e.server.String(), strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	if err != nil {
		return nil, err
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := e.client.Do(req)
	if err != nil {
		return nil, err
	}
	return res, res.Body.Close()
}
