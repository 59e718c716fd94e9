package gateway

import (
	"encoding/json"

	"github.com/remit-auth/remit/tokens/resource"
)

// listing is an answer that lists what an agent may use, and by which word each entry is judged.
type listing struct {
	member, key string
	may         func(p *resource.Permit, name string) bool
}

// readLists are the lists besides that of tools. The Guard has refused them where the policy opens
// nothing of their kind.
var readLists = map[string]listing{
	"resources/list":           {"resources", "uri", (*resource.Permit).MayRead},
	"resources/templates/list": {"resourceTemplates", "uriTemplate", (*resource.Permit).MayReadTemplate},
	"prompts/list":             {"prompts", "name", (*resource.Permit).MayPrompt},
}

// forServer reports whether a request goes on to a server without sessions: calls, reads and lists.
// What begins or keeps a conversation, the gateway answers itself.
func forServer(in *message) bool {
	_, lists := readLists[in.Method]
	return lists || in.Method == methodList || in.Method == methodCall || in.permit.Target() != ""
}

// leave leaves of a list what may says, and calls the answer the caller's alone.
func leave(result json.RawMessage, member, key string, may func(name string) bool) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	var entries []json.RawMessage
	if err := json.Unmarshal(result, &members); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(members[member], &entries); err != nil {
		return nil, err
	}
	mine := []json.RawMessage{}
	for _, raw := range entries {
		var named map[string]json.RawMessage
		var name string
		if json.Unmarshal(raw, &named) == nil && json.Unmarshal(named[key], &name) == nil && may(name) {
			mine = append(mine, raw)
		}
	}
	var err error
	if members[member], err = json.Marshal(mine); err != nil {
		return nil, err
	}
	members["cacheScope"] = json.RawMessage(`"private"`)
	return json.Marshal(members)
}

// usable is what agents can use of a server's capabilities: tools, news of them where there is a
// stream on which they come, and what the policy lets be read.
func usable(given json.RawMessage, p *resource.Permit, streams bool) json.RawMessage {
	var server map[string]json.RawMessage
	_ = json.Unmarshal(given, &server) // what says nothing has tools
	all := map[string]json.RawMessage{"tools": json.RawMessage("{}")}
	if streams && announces(given) {
		all["tools"] = json.RawMessage(`{"listChanged":true}`)
	}
	completes := false
	for _, kind := range []string{"resources", "prompts"} {
		if has(server[kind]) && p.Opens(kind) {
			all[kind], completes = json.RawMessage("{}"), true
		}
	}
	if completes && has(server["completions"]) {
		all["completions"] = json.RawMessage("{}")
	}
	raw, _ := json.Marshal(all) // constants
	return raw
}
