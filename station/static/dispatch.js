// A new bag: destination, transport, tote and seal; then its page.
import { $, ask, say } from "./dom.js";
import { notice } from "./feedback.js";
import { clean, verify } from "./identifiers.js";

async function fill(event) {
  event.preventDefault();
  const tote = clean($("#tote").value);
  if (tote && !verify(tote, "T")) {
    $("#tote").focus();
    return notice(say("This is no tote: scan it again, or leave it empty"));
  }
  const body = { destination: $("#destination").value, transport: $("#transport").value, tote, seal: clean($("#seal").value) };
  const answer = await ask("POST", "/dispatch", body);
  if (answer.ok) location.assign(answer.json.path);
  else notice(answer.json?.detail || say("No signal: try again"));
}

$("#new-bag").addEventListener("submit", fill);
// the Enter of a scanner leads on to the next field and never sends a half-filled form
for (const [from, to] of [["#tote", "#seal"], ["#seal", "#new-bag button"]])
  $(from).addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    $(to).focus();
  });
