// Keeps the agents pages up to date: when the server says that something has moved, the page asks
// for itself again and takes over what is new. It adds nothing that a reload would not show.
"use strict";
(() => {
	const quiet = 500; // ms between two looks at most
	const choice = "remit.updates"; // a person's wish outlives a reload
	const patience = 5000; // ms before a lost connection is worth a word, and before it is tried anew
	let source, timer, lost, looking = false, again = false, last = 0;
	const live = () => document.getElementById("live");

	const paused = () => {
		try { return sessionStorage.getItem(choice) === "off"; } catch { return false; }
	};

	// show tells how the updates stand: "on", "off" or "lost".
	function show(state) {
		const control = document.getElementById("updates");
		if (!control) return;
		const [status, button] = [control.querySelector("span"), control.querySelector("button")];
		const text = status.dataset[state];
		if (status.textContent !== text) status.textContent = text;
		button.textContent = button.dataset[state === "off" ? "off" : "on"];
		control.hidden = false;
	}

	// renew makes have look like want and keeps every node that stays, so that focus, scroll and what
	// a screen reader has read stay too. Nodes with an id are matched by it, others by their place.
	function renew(have, want) {
		if (have.nodeType === Node.TEXT_NODE) {
			if (have.data !== want.data) have.data = want.data;
			return;
		}
		if (have.nodeType !== Node.ELEMENT_NODE || have.hasAttribute("data-keep")) return;
		for (const a of [...have.attributes]) if (!want.hasAttribute(a.name)) have.removeAttribute(a.name);
		for (const a of want.attributes) if (have.getAttribute(a.name) !== a.value) have.setAttribute(a.name, a.value);
		const ids = new Set([...want.children].map(c => c.id).filter(Boolean));
		for (const c of [...have.children]) if (c.id && !ids.has(c.id)) c.remove();
		let at = have.firstChild;
		const drop = () => {
			const rest = at.nextSibling;
			at.remove();
			at = rest;
		};
		for (const next of [...want.childNodes]) {
			if (next.id && [...have.children].some(c => c.id === next.id)) while (at.id !== next.id) drop();
			if (at && at.nodeName === next.nodeName && (at.id || "") === (next.id || "")) {
				const node = at;
				at = at.nextSibling;
				renew(node, next);
			} else if (!next.id && at && !at.id) {
				const node = at;
				at = at.nextSibling;
				node.replaceWith(document.importNode(next, true));
			} else {
				have.insertBefore(document.importNode(next, true), at);
			}
		}
		while (at) drop();
	}

	// look fetches the page once, and once more if something moved meanwhile.
	async function look() {
		if (looking) {
			again = true;
			return;
		}
		looking = true;
		try {
			await new Promise(done => setTimeout(done, Math.max(0, last + quiet - Date.now())));
			const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
			const text = await answer.text();
			if (paused()) return;
			const page = new DOMParser().parseFromString(text, "text/html").getElementById("live");
			if (!page && answer.ok) {
				location.reload(); // signed out: the page is the sign-in page now
				return;
			}
			if (!page) throw new Error(answer.statusText);
			const had = live().contains(document.activeElement);
			renew(live(), page);
			if (had && !live().contains(document.activeElement)) live().querySelector("h1").focus({ preventScroll: true });
			if (source && source.readyState === EventSource.OPEN) show("on");
		} catch {
			show("lost");
		} finally {
			last = Date.now();
			looking = false;
			if (again) {
				again = false;
				look();
			} else {
				schedule();
			}
		}
	}

	function schedule() {
		clearTimeout(timer);
		const seconds = Number(live().dataset.again);
		if (source && seconds > 0) timer = setTimeout(look, seconds * 1000);
	}

	function start() {
		if (source || document.hidden || paused()) return;
		clearTimeout(lost);
		source = new EventSource(live().dataset.source);
		source.addEventListener("open", () => {
			clearTimeout(lost);
			show("on");
		});
		source.addEventListener("changed", look);
		source.addEventListener("error", () => {
			clearTimeout(lost);
			if (source.readyState !== EventSource.CLOSED) {
				lost = setTimeout(() => show("lost"), patience); // it tries again by itself
				return;
			}
			stop();
			show("lost");
			lost = setTimeout(start, patience);
			look(); // signed out?
		});
	}

	function stop() {
		clearTimeout(timer);
		clearTimeout(lost);
		if (source) source.close();
		source = undefined;
	}

	document.addEventListener("click", event => {
		if (!event.target.closest("#updates button")) return;
		try { sessionStorage.setItem(choice, paused() ? "on" : "off"); } catch { return; }
		if (paused()) {
			stop();
			show("off");
		} else {
			start();
		}
	});
	// A tab out of sight listens to nothing: a browser has only six connections to a server.
	document.addEventListener("visibilitychange", () => document.hidden ? stop() : start());
	addEventListener("pagehide", stop);
	addEventListener("pageshow", event => { if (event.persisted) start(); });

	if (paused()) show("off");
	else start();
})();
