// A specimen's page: its label can be printed again, and tests can be added to it. A tube that has not left is then
// scanned back where it was collected.
import { $, N_, facts, h, say } from "./dom.js";
import { dialog, notice } from "./feedback.js";
import { send } from "./queue.js";
import { printAgain } from "./reprint.js";

const work = facts("work");
const button = $("#print-again");
button?.addEventListener("click", async () => {
  if (await printAgain(button.dataset.accession)) location.assign(button.dataset.next);
});

/** An add-on: no new tube is drawn, and its turnaround runs from now. */
async function addTest() {
  const group = (label, some) => some.length > 0 && h("optgroup", { label: say(label) }, some.map((one) => h("option", { value: one.code }, `${say(one.name)} (${one.code})`)));
  const test = h("select", { name: "test", id: "test" },
    [group(N_("From such a tube"), work.addable.filter((one) => one.fits)), group(N_("From another kind of tube"), work.addable.filter((one) => !one.fits))].filter(Boolean));
  const stat = h("input", { type: "checkbox", name: "stat", id: "stat" });
  const form = await dialog(N_("Add a test"), [
    h("p", { class: "big code" }, work.accession),
    h("div", { class: "field" }, h("label", { for: "test" }, say("Test")), test),
    h("label", { class: "check" }, stat, h("span", {}, "STAT")),
    h("p", { class: "hint" }, say("The lab does it from this tube: nobody is drawn again. Ask the lab first whether enough is left and it is still stable.")),
  ], N_("Add it"));
  if (!form) return;
  const data = { tests: [form.get("test")], order: work.order, priority: form.get("stat") ? "stat" : "routine" };
  const became = await send("specimen.test-added", work.accession, data);
  if (["refused", "quarantined"].includes(became.outcome)) return notice(say(became.detail || N_("That did not work")));
  location.reload();
}
$("#add-test")?.addEventListener("click", addTest);
