// Offers push messages (Push API) where the browser has them: a form with data-push gets the browser's
// own address and keys, and is posted. Who signs in again here is told as before; somebody else is not.
"use strict";
(() => {
	const choice = "remit.push"; // whom this browser is to tell, as data-for names them
	const keep = (whom) => {
		try { whom ? localStorage.setItem(choice, whom) : localStorage.removeItem(choice); } catch { /* then each time anew */ }
	};
	const kept = () => {
		try { return localStorage.getItem(choice); } catch { return null; }
	};
	document.addEventListener("submit", event => {
		if ("pushOff" in event.target.dataset) keep("");
	});

	const form = document.querySelector("form[data-push]");
	if (!form || !navigator.serviceWorker || !window.PushManager || !window.Notification || Notification.permission === "denied") return;

	const bytes = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
	const same = (a, b) => a && a.byteLength === b.byteLength && new Uint8Array(a).every((byte, i) => byte === b[i]);

	// fill puts into the form where this browser takes messages that the server signs.
	async function fill() {
		const key = bytes(form.dataset.push);
		await navigator.serviceWorker.register(form.dataset.worker);
		const worker = await navigator.serviceWorker.ready;
		let at = await worker.pushManager.getSubscription();
		if (at && !same(at.options.applicationServerKey, key)) {
			await at.unsubscribe();
			at = null;
		}
		at ||= await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
		const { endpoint, keys } = at.toJSON();
		form.elements.endpoint.value = endpoint;
		form.elements.p256dh.value = keys.p256dh;
		form.elements.auth.value = keys.auth;
	}

	form.addEventListener("submit", async event => {
		event.preventDefault();
		const note = form.querySelector("[role=alert]");
		note.hidden = true;
		try {
			await fill();
			keep(form.dataset.for);
			form.submit();
		} catch (err) {
			note.textContent = err.message;
			note.hidden = false;
		}
	});

	const again = Notification.permission === "granted" && kept() === form.dataset.for;
	if (!again) {
		form.hidden = false;
		return;
	}
	fill().then(() => fetch(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form)) }))
		.then(answer => { form.hidden = answer.ok; }, () => { form.hidden = false; });
})();
