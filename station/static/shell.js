// What every page does: count of unsent scans, signing out, light or dark, offline shell.

import { $, N_, ask, facts, h, many, say } from "./dom.js";
import { dialog, notice } from "./feedback.js";
import { discard, entries, flush, inStore, retry, startQueue } from "./queue.js";

const PEEK_MS = 30000;
const kinds = facts("kinds"); // what an event of each type is called
let unsent = { count: 0, refused: 0, others: 0 }; // as last heard
const signedIn = () => Boolean(document.body.dataset.badge);

function showUnsent({ detail }) {
  const pill = $("#unsent");
  pill.dataset.count = detail.count;
  pill.toggleAttribute("data-refused", detail.refused > 0);
  $("#unsent-count").textContent = detail.count;
  $("#refused-count").textContent = detail.refused ? `✕ ${detail.refused}` : ""; // the notice below says it in words
  if (detail.refused > 0) notice(many(detail.refused, "1 scan was refused: press the number of unsent scans to see what to do", "{n} scans were refused: press the number of unsent scans to see what to do"));
  else if (unsent.refused > 0) notice("");
  unsent = detail;
  if (detail.others > 0) notice(say("{n} scans of another person wait on this device: that person must sign in", { n: detail.others }));
}

/** What is unsent, one by one; refused scans can be tried again or thrown away. */
async function showEntries() {
  const all = await entries();
  const rows = all.slice(0, 100).map((entry) => {
    const what = entry.body.type ?? entry.path;
    const at = entry.body.time ? entry.body.time.slice(11, 16) : "";
    const drop = h("button", { type: "button", class: "quiet" }, say("Throw away"));
    const row = h("li", {}, h("div", { class: "item" }, h("span", { class: "code" }, entry.body.subject ?? ""), h("span", {}, kinds[what] ?? what, " ", at),
      entry.refused && h("strong", { class: "why" }, entry.refused), entry.refused && drop));
    drop.addEventListener("click", async () => {
      if (drop.dataset.sure) {
        await discard(entry.id);
        row.remove();
      } else {
        drop.dataset.sure = "1";
        drop.textContent = say("Really throw it away");
      }
    });
    return row;
  });
  const list = rows.length ? h("ul", { class: "list" }, rows) : h("p", { class: "empty" }, say("Everything is sent"));
  const act = all.some((entry) => entry.refused) && h("p", {}, say("Scan the thing again with a good code, then throw this one away. If the code is right, press Send now."));
  if (await dialog(N_("Unsent scans"), [act || "", list], rows.length ? N_("Send now") : "", N_("Back"))) {
    await retry();
    await flush();
  }
}

/** Leave when the session is over, so that no patient's data stays on the screen; not while there is no signal. */
async function peek() {
  const answer = await ask("GET", "/api/v1/session?peek=true");
  if (answer.status === 401 && !document.body.dataset.offline) location.replace(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
}

async function signOut() {
  await flush();
  await ask("DELETE", "/api/v1/session");
  await forgetPages();
  location.assign("/sign-in");
}

async function forgetPages() {
  await inStore("kept", "readwrite", (store) => store.clear());
  const worker = (await navigator.serviceWorker?.getRegistration())?.active;
  worker?.postMessage("forget");
}

async function breakGlass() {
  const reason = h("textarea", { name: "reason", required: true, minlength: 10, maxlength: 500, id: "why", rows: 3 });
  const form = await dialog(N_("Emergency access"), [
    h("p", {}, say("Opens the records of all sites for a short time. It is logged, and the manager is told.")),
    h("label", { for: "why" }, say("Why is it needed?")), reason,
  ], N_("Open the records"));
  if (!form) return;
  const answer = await ask("POST", "/api/v1/break-glass", { reason: form.get("reason") });
  notice(answer.ok ? say("All records are open to you for a short time. This is logged.") : answer.json?.detail || say("That did not work"));
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}

const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset.theme = chosen;
document.addEventListener("labtrail:unsent", showUnsent);
document.addEventListener("labtrail:signed-out", () => notice(say("You are signed out: sign in, and the unsent scans go out by themselves")));
$("#unsent")?.addEventListener("click", showEntries);
$("#sign-out")?.addEventListener("click", signOut);
$("#break-glass")?.addEventListener("click", breakGlass);
$("#theme")?.addEventListener("click", theme);
addEventListener("offline", () => notice(say("No signal: scans are kept on this device and sent later")));
addEventListener("online", () => {
  notice("");
  showUnsent({ detail: unsent }); // "No signal" stood in place of its notice
});
if (navigator.serviceWorker) navigator.serviceWorker.register("/sw.js");
startQueue();
if (signedIn()) setInterval(peek, PEEK_MS);
