package storetest

import "sync"

// Way is how a statement fails.
type Way int

// The ways.
const (
	Passes  Way = iota
	Refused     // the database refuses it
	Lost        // the database does it, and the answer is lost, with what else the connection was in
	Torn        // it tells its rows, then breaks off
)

func (w Way) String() string { return [...]string{"passes", "refused", "lost", "torn"}[w] }

// Fault makes one statement of a store fail. The backend's test asks it before every statement.
type Fault struct {
	mu   sync.Mutex
	way  Way
	left int // statements until it happens; 0: never, or it has
	met  bool
	seen int
}

// Arm makes the n-th statement from now on fail.
func (f *Fault) Arm(n int, way Way) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.way, f.left, f.met = way, n, false
}

// Disarm lets all statements pass, and reports whether one has failed.
func (f *Fault) Disarm() (met bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = 0
	return f.met
}

// Statement tells what happens to the statement that comes next.
func (f *Fault) Statement() Way {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
	if f.left == 0 {
		return Passes
	}
	if f.left--; f.left > 0 {
		return Passes
	}
	f.met = true
	return f.way
}

// Seen is how many statements there were.
func (f *Fault) Seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}
