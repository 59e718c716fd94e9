package store

// RolesAt are the user's roles at the resource, as they were read with the task.
func (t Task) RolesAt(resource string) []string {
	for _, at := range t.Roles {
		if at.Resource == resource {
			return at.Roles
		}
	}
	return nil
}

// Grade is the client's identity grade, as access tokens and policies name it. An origin that is not
// known has none.
func (c Client) Grade() string {
	switch c.Origin {
	case ByAdmins:
		return "registered"
	case ByDocument:
		return "cimd"
	case ByRegistration:
		return "dcr"
	}
	return ""
}
