// The board refreshes itself when something changes, at a limited rate; nothing moves under the reader's hand.
import { $, N_, ask, say } from "./dom.js";
import { verdict } from "./feedback.js";

const LEAST_MS = 2000;
const MOST_MS = 30000; // times on the board grow older even when nothing happens
let due = false;
let at = performance.now();

async function refresh() {
  due = false;
  at = performance.now();
  try {
    const answer = await fetch(`/board/inside${location.search}`, { signal: AbortSignal.timeout(15000) });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    const held = document.activeElement?.dataset?.id;
    $("#board").replaceChildren(...fresh.childNodes);
    if (held) $(`.acknowledge[data-id="${held}"]`)?.focus({ preventScroll: true });
    $("#live").textContent = say("Live, as of {time}", { time: new Date().toLocaleTimeString(document.documentElement.lang) });
  } catch {
    $("#live").textContent = say("No signal: this is how it was");
  }
}

async function acknowledge(event) {
  const button = event.target.closest(".acknowledge");
  if (!button) return;
  button.disabled = true;
  const answer = await ask("POST", `/api/v1/alerts/${button.dataset.id}/acknowledge`);
  if (!answer.ok) verdict("warn", answer.json?.detail || N_("That did not work"));
  refresh();
}

const live = new EventSource("/api/v1/live");
live.onopen = () => ($("#live").textContent = say("Live"));
live.onerror = () => ($("#live").textContent = say("No signal: this is how it was"));
live.addEventListener("changed", () => (due = true));
live.addEventListener("over", () => location.reload());
setInterval(() => {
  const age = performance.now() - at;
  if (!document.hidden && ((due && age > LEAST_MS) || age > MOST_MS)) refresh();
}, 500);
$("#board").addEventListener("click", acknowledge);
