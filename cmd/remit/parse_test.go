package main

// ParseLine reads a command line as remit does, and runs nothing.
func ParseLine(words []string) error {
	var c commands
	parser, err := newParser(&c)
	if err == nil {
		_, err = parser.Parse(words)
	}
	return err
}
