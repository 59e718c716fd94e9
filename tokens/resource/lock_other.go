//go:build !unix || solaris || aix

package resource

// lockDir does nothing where there are no advisory locks: there, take care that no two Guards share
// a state directory.
func lockDir(string) (unlock func() error, err error) { return func() error { return nil }, nil }
