// Printing a tube's label again: a reason, the print queue, and its outcome. The old label is void once it is out.
import { N_, ask, h, say } from "./dom.js";
import { dialog, verdict } from "./feedback.js";

const REASONS = [N_("Label damaged"), N_("Printer fault"), N_("Label lost")];
const LOOKS = 20;
const EVERY_MS = 500;
const UNDER_WAY = ["queued", "sending", "sent"];

const pause = () => new Promise((resolve) => setTimeout(resolve, EVERY_MS));

/** Ask for the reason and print: the serial of the new label once it is out or may be, null where none is. */
export async function printAgain(accession) {
  const reason = h("select", { name: "reason", id: "reason" }, REASONS.map((one) => h("option", { value: one }, say(one))));
  const form = await dialog(N_("Print the label again"), [h("label", { for: "reason" }, say("Reason")), reason], N_("Print"));
  if (!form) return null;
  const asked = await ask("POST", `/labels/${accession}/again`, { reason: form.get("reason") });
  if (!asked.ok) {
    verdict("bad", asked.status === 0 ? N_("No signal: try again") : asked.json?.detail || N_("That did not work"));
    return null;
  }
  return told(await outcome(accession, asked.json));
}

/** The newest state of a print that was asked for, after at most LOOKS polls. */
async function outcome(accession, job) {
  for (let look = 0; look < LOOKS && UNDER_WAY.includes(job.state); look += 1) {
    await pause();
    const answer = await ask("GET", `/labels/${accession}/newest`);
    if (answer.ok) job = answer.json;
  }
  return job;
}

function told({ serial, state, printer, note }) {
  if (state === "confirmed") verdict("ok", N_("Label {serial} is printed: the old one no longer counts, take it off the tube"), { serial });
  else if (state === "unconfirmed") verdict("warn", N_("Look whether label {serial} came out of {printer}"), { serial, printer });
  else if (UNDER_WAY.includes(state)) verdict("warn", N_("Label {serial} waits for {printer}: {note}"), { serial, printer, note: note || "–" });
  else verdict("bad", N_("Nothing was printed: {note}"), { note: note || "–" });
  return state === "confirmed" || state === "unconfirmed" ? serial : null;
}
