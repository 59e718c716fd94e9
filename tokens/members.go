package tokens

import "encoding/json"

// A Member is one member of a JSON object: its name, and its value as it stands in the text.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Members takes an object apart, in its order and as strictly as CheckJSON. The values alias raw.
func Members(raw []byte) ([]Member, error) {
	var all []Member
	r := newReader(raw)
	for name := range r.members() {
		all = append(all, Member{name, r.value()})
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return all, nil
}
