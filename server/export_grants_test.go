package server

// GrantNames lists the table of grants.
func (s *Server) GrantNames() []string { return s.grantNames() }
