package policy

import _ "embed"

// Schema is the JSON Schema (draft 2020-12) of the policy file, for editors. Parse is stricter: a
// schema cannot say that a role exists, or that roles do not include each other in a circle.
//
//go:embed schema.json
var Schema []byte
