// Keeps what is marked data-live as the server would show it now: the page is asked for again, and what changed is put in its place. So there is one home for what a
// page says, and no script that says it a second time. Where the page names a stream of events (data-events on <main>'s first element that has it), each event asks;
// else every few seconds. Never more than once a second.
const stream = document.querySelector("[data-events]")?.dataset.events;
const lost = document.getElementById("connection");
const idle = stream ? 5000 : 4000;
const events = ["job.queued", "job.started", "job.cancelling", "job.retried", "job.succeeded", "job.failed", "job.cancelled",
    "stage.started", "stage.progress", "stage.succeeded", "stage.retrying", "stage.failed", "stage.cancelled", "stage.released"];
let source, timer, asking = false, again = false, asked = 0, last = "";

const live = () => document.querySelector("[data-alive]") !== null;

function soon(delay = 0) {
    if (asking) {
        again = true;
        return;
    }
    clearTimeout(timer);
    timer = setTimeout(refresh, Math.max(delay, asked + 1000 - Date.now(), 0));
}

async function refresh() {
    asking = true;
    again = false;
    asked = Date.now();
    let here = false;
    try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
        // A job that was deleted, or a key that was revoked: the page would not be shown, and says why when it is loaded.
        if (answer.status === 404 || answer.status === 401)
            location.reload();
        if (answer.ok) {
            put(new DOMParser().parseFromString(await answer.text(), "text/html"));
            here = true;
        }
    } catch {
        // Not reachable: told below, and asked again.
    }
    if (lost)
        lost.hidden = here;
    asking = false;
    if (!live())
        source?.close();
    else if (here && stream && source?.readyState !== EventSource.OPEN && source?.readyState !== EventSource.CONNECTING)
        follow();
    if (live() || !here)
        soon(again ? 0 : here ? idle : 2000);
}

function put(fresh) {
    document.title = fresh.title;
    for (const old of document.querySelectorAll("[data-live]")) {
        const now = fresh.getElementById(old.id);
        if (!now || old.innerHTML === now.innerHTML)
            continue;
        const kept = old.contains(document.activeElement) ? document.activeElement.id : "";
        old.replaceChildren(...document.adoptNode(now).childNodes);
        if (kept)
            document.getElementById(kept)?.focus();
    }
}

function follow() {
    source?.close();
    source = new EventSource(last ? `${stream}?after=${last}` : stream);
    const seen = event => {
        last = event.lastEventId;
        soon();
    };
    for (const name of events)
        source.addEventListener(name, seen);
    // The browser connects again by itself while it can; where it has given up, refresh does once the service answers.
    source.addEventListener("error", () => soon());
    source.addEventListener("open", () => soon());
}

if (live()) {
    last = document.querySelector("[data-events]")?.dataset.after ?? "";
    if (stream)
        follow();
    soon(idle);
    document.addEventListener("visibilitychange", () => { if (!document.hidden && live()) soon(); });
}
