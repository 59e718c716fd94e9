package policy

import (
	"slices"
	"strings"
	"unicode"
)

// The words that say what a scope or a tool does.
var (
	readWords    = []string{"read", "reads", "readonly", "reader", "view", "views", "viewer", "list", "lists", "get", "gets", "see", "show", "shows", "search", "find", "lookup", "look", "query", "browse", "fetch", "describe", "count", "inspect"}
	destroyWords = []string{"delete", "deletes", "remove", "removes", "destroy", "drop", "purge", "erase", "wipe", "truncate", "revoke", "terminate", "kill", "reset", "overwrite", "uninstall", "cancel"}
	writeWords   = []string{"write", "writes", "writer", "edit", "edits", "editor", "create", "creates", "add", "adds", "update", "updates", "change", "changes", "set", "put", "post", "send", "sends", "modify", "manage", "manages", "work", "execute", "run", "upload", "move", "rename", "import", "publish", "approve", "admin", "full", "all", "use", "pay", "transfer", "deploy", "merge", "email", "mail", "insert", "patch", "upsert", "sync", "exec", "do", "comment"}
)

// words splits a name or a title at what is no letter and where a capital begins a word.
func words(s string) []string {
	var all []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			all = append(all, strings.ToLower(word.String()))
			word.Reset()
		}
	}
	last := ' '
	for _, r := range s {
		if !unicode.IsLetter(r) || unicode.IsUpper(r) && unicode.IsLower(last) {
			end()
		}
		if unicode.IsLetter(r) {
			word.WriteRune(r)
		}
		last = r
	}
	end()
	return all
}

func says(all, some []string) bool {
	return slices.ContainsFunc(all, func(w string) bool { return slices.Contains(some, w) })
}

// saysReadOnly reports whether a text speaks of reading and of nothing else.
func saysReadOnly(text string) bool {
	all := words(text)
	return says(all, readWords) && !says(all, writeWords) && !says(all, destroyWords)
}

// saysDestroys reports whether a tool's first word is to take away for good.
func saysDestroys(tool string) bool {
	all := words(tool)
	return len(all) > 0 && (slices.Contains(destroyWords, all[0]) || slices.Contains(destroyWords, all[len(all)-1]))
}

// guess is what a tool's name lets expect of it. A name that says nothing is of a tool that writes
// and does not destroy: more would be said of every second tool.
func guess(tool string) ToolFacts {
	return ToolFacts{Name: tool, ReadOnly: saysReadOnly(tool), Destructive: saysDestroys(tool)}
}
