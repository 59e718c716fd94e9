// Wakes for a push message and shows it; a click on it leads to the page that it names, which asks who
// is there. It touches no request and keeps nothing.
"use strict";
self.addEventListener("push", event => {
	const { title, body, path } = event.data.json();
	event.waitUntil(self.registration.showNotification(title, { body, tag: path, data: path }));
});

self.addEventListener("notificationclick", event => {
	event.notification.close();
	const to = new URL(event.notification.data, self.location.origin);
	if (to.origin !== self.location.origin) return;
	event.waitUntil(self.clients.matchAll({ type: "window", includeUncontrolled: true }).then(open => {
		const there = open.find(page => page.url === to.href);
		return there ? there.focus() : self.clients.openWindow(to.href);
	}));
});
