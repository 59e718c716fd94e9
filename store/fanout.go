package store

// Fanout carries hints that feeds have grown from one instance to the others. A hint may be lost,
// repeated or late: the sequence of the feed decides, and whoever follows a feed also looks for
// himself now and then.
type Fanout interface {
	// Announce tells the other instances that the feeds of these resources may have grown. It does
	// not wait for them, nor for the network.
	Announce(resources ...string)
	// Listen calls heard with every resource that another instance announces, and with "" when
	// announcements may have been missed, which means every resource, until stop is called.
	Listen(heard func(resource string)) (stop func())
	// Close ends what carries the hints.
	Close() error
}
