// Signing in by badge and PIN, and enrolling a device.
import { $, N_, ask, say } from "./dom.js";
import { clean } from "./identifiers.js";
import { flush } from "./queue.js";

function fault(place, text) {
  $(".text", place).textContent = text;
  place.hidden = !text;
}

async function signIn(event) {
  event.preventDefault();
  const form = $("#sign-in");
  const body = { badge: clean($("#badge").value), pin: $("#pin").value };
  if (!body.badge) return $("#badge").focus();
  if (!body.pin) return $("#pin").focus();
  const grant = $("#grant").value;
  if (grant) [body.role, body.site] = grant.split("@");
  const answer = await ask("POST", "/api/v1/session", body);
  if (!answer.ok) {
    $("#pin").value = "";
    $("#pin").focus();
    const text = answer.status === 0 ? N_("No signal: try again") : answer.json?.detail || N_("That did not work");
    return fault($("#sign-in-fault"), say(text));
  }
  document.body.dataset.badge = answer.json.badge ?? body.badge;
  await flush();
  location.assign(form.dataset.next || "/");
}

async function enroll(event) {
  event.preventDefault();
  const token = $("#token").value.trim();
  if (!token) return $("#token").focus();
  const answer = await ask("POST", "/api/v1/device", { token });
  if (answer.ok) return location.assign("/sign-in");
  fault($("#enroll-fault"), answer.json?.detail || say("That did not work"));
}

$("#sign-in")?.addEventListener("submit", signIn);
$("#enroll")?.addEventListener("submit", enroll);
($("#badge") ?? $("#token")).focus();
if ($("#token") && location.hash.length > 1) {
  $("#token").value = decodeURIComponent(location.hash.slice(1)); // from the address that the administrator gave
  history.replaceState(null, "", location.pathname);
}
// a wedge scanner ends with Enter or Tab, or with nothing: the badge alone never signs in, it leads on to the PIN
$("#badge")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    if (event.target.value.trim()) $("#pin").focus();
  }
});
