// One movement after the other: scan a box, look at what it is, say how many.
import { $, N_, ask, facts, say } from "./dom.js";
import { red, verdict } from "./feedback.js";
import { clean } from "./identifiers.js";
import { send } from "./queue.js";
import { startScanning } from "./scan.js";

const work = facts("work");
const TYPES = { receive: "received", use: "used", waste: "wasted", count: "counted", transfer: "transferred", recall: "recalled" };
let box = null;

async function look(code, item = "") {
  const answer = await ask("POST", `/supplies/scan?site=${work.site}`, { scanned: code, item });
  if (!answer.ok) return verdict("warn", answer.status === 0 ? N_("No signal: try again") : N_("That did not work"));
  if (answer.json.fault) return verdict("bad", answer.json.fault);
  box = answer.json;
  $("#box").hidden = false;
  $("#box-name").textContent = say(box.name);
  $("#box-item").textContent = box.item;
  $("#box-on-hand").textContent = box.on_hand;
  $("#lot").value = box.lot;
  if ($("#expires")) $("#expires").value = box.expires ?? "";
  if ($("#unit")) $("#unit").textContent = `(${say(box.unit)})`;
  if ($("#quantity")) $("#quantity").value = work.act === "count" ? "" : String(box.count ?? 1);
  showVariance();
  verdict("ok", box.name);
  if (["receive", "use", "transfer"].includes(work.act) && (box.notice || box.expired)) await stop();
}

const stop = () =>
  red(box.notice ? N_("This lot is recalled") : N_("This box has expired"), [[N_("Item"), say(box.name)], [N_("Lot"), box.lot], [N_("Expired"), box.expires ?? "–"]],
    N_("I put this box aside"), { kind: "lot", expected: box.item, scanned: box.lot });

function quantity() {
  const value = Number($("#quantity").value.trim().replace(",", "."));
  return $("#quantity").value.trim() !== "" && Number.isFinite(value) && value >= 0 ? value : null;
}

function showVariance() {
  if (work.act !== "count" || !box) return;
  const counted = quantity();
  const variance = counted === null ? null : counted - box.on_hand;
  $("#variance").textContent = variance === null ? "" : say("Expected {n}, variance {v}", { n: box.on_hand, v: `${variance > 0 ? "+" : ""}${variance}` });
  $("#reason-field").hidden = !variance;
}

function step(by) {
  $("#quantity").value = Math.max(0, (quantity() ?? 0) + by);
  showVariance();
}

function details() {
  const data = { lot: clean($("#lot").value) };
  if (!data.lot && !["use", "waste"].includes(work.act)) return void $("#lot").focus();
  if (!data.lot) delete data.lot;
  if (work.act === "recall") {
    data.notice = $("#notice-text").value.trim();
    return data.notice ? data : void $("#notice-text").focus();
  }
  const many = quantity();
  if (many === null || (many === 0 && work.act !== "count")) return void $("#quantity").focus();
  data.quantity = many;
  if (work.act === "receive") {
    data.expires = $("#expires").value;
    if (!data.expires) return void $("#expires").focus();
    if ($("#order").value.trim()) data.order = $("#order").value.trim();
  }
  if (work.act === "transfer") data.to = $("#to").value;
  if (!$("#reason-field")?.hidden && $("#reason")) data.reason = $("#reason").value;
  return data;
}

async function book(event) {
  event.preventDefault();
  const data = box && details();
  if (!data) return verdict("warn", N_("Something is still to be filled in"));
  $("#book").disabled = true;
  const subject = work.act === "recall" ? `*/${box.item}` : `${work.site}/${box.item}`;
  const became = await send(`supply.${TYPES[work.act]}`, subject, data, { site: work.site });
  $("#book").disabled = false;
  if (["refused", "quarantined"].includes(became.outcome)) return verdict("bad", became.detail || N_("That did not work"));
  verdict("ok", N_("Booked: {name}, lot {lot}"), { name: say(box.name), lot: data.lot ?? "–" });
  box = null;
  $("#box").hidden = true;
}

$("#box").addEventListener("submit", book);
$("#box").addEventListener("input", showVariance);
$("#less")?.addEventListener("click", () => step(-1));
$("#more")?.addEventListener("click", () => step(1));
$("#by-hand").addEventListener("submit", (event) => {
  event.preventDefault();
  look($("#pick-lot").value.trim() || $("#pick").value, $("#pick").value);
});
startScanning((code) => look(code));
