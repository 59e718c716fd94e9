package server

// GrantNames lists the table of grants.
func (s *Server) GrantNames() []string { return s.grantNames() }

// ReadUserCode reads a code as people type it.
func ReadUserCode(typed string) (string, bool) { return readUserCode(typed) }
