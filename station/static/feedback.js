// How a scan's outcome is shown: sound, vibration, colour, sign and words, each of them sufficient alone.

import { $, N_, h, icon, say } from "./dom.js";
import { opaque } from "./identifiers.js";
import { nearMiss } from "./queue.js";

const TONES = { ok: [[1320, 0.09]], warn: [[660, 0.12], [660, 0.12]], bad: [[196, 0.28], [147, 0.4]] };
const SHAKES = { ok: 60, warn: [80, 60, 80], bad: [300, 100, 300] };
let audio;

function tone(kind) {
  try {
    audio ??= new AudioContext();
    let at = audio.currentTime;
    for (const [hertz, seconds] of TONES[kind]) {
      const wave = new OscillatorNode(audio, { type: kind === "bad" ? "sawtooth" : "sine", frequency: hertz });
      const loud = new GainNode(audio, { gain: 0.2 });
      wave.connect(loud).connect(audio.destination);
      wave.start(at);
      wave.stop(at + seconds);
      at += seconds + 0.05;
    }
  } catch {
    // a device without sound still has colour, sign, words and vibration
  }
}

/** Show the outcome of a scan. kind: ok, warn or bad. */
export function verdict(kind, text, values) {
  const place = $("#verdict");
  const words = say(text, values);
  if (place) {
    place.dataset.kind = kind;
    $(".text", place).textContent = words;
    place.dataset.count = Number(place.dataset.count || 0) + 1;
  } else notice(words);
  tone(kind);
  navigator.vibrate?.(SHAKES[kind]);
}

/** A line above the page, until the next one. */
export function notice(words) {
  const place = $("#notice");
  place.textContent = words;
  place.hidden = !words;
}

/** The full-screen red page: nothing continues until a person confirms that they checked. Logged as a near miss.
 *  facts: [[name, value], …] to show; miss: {kind, expected, scanned, accession?, order?} or null where none is due. */
export function red(title, facts, act, miss) {
  verdict("bad", title);
  if (miss) {
    const scanned = opaque(miss.scanned ?? "");
    nearMiss({ ...miss, scanned });
  }
  return new Promise((resolve) => {
    const go = h("button", { type: "button", disabled: true, id: "red-go", onclick: () => box.close() }, say("Go on"));
    const looked = h("input", { type: "checkbox", id: "red-looked", onchange: () => (go.disabled = !looked.checked) });
    const box = h(
      "dialog",
      { class: "red", "aria-labelledby": "red-title", oncancel: (event) => event.preventDefault() },
      h(
        "div",
        { class: "inside" },
        icon("stop"),
        h("h2", { id: "red-title" }, say(title)),
        h("dl", {}, facts.map(([name, value]) => [h("dt", {}, say(name)), h("dd", {}, value)])),
        h("label", { class: "check" }, looked, h("span", {}, say(act))),
        go,
      ),
    );
    box.addEventListener("close", () => {
      box.remove();
      // Chromium gives the focus back without a caret, so that typed keys would be lost: focus the scan field again
      document.activeElement?.blur();
      $("#scan")?.focus({ preventScroll: true });
      resolve();
    });
    // Chromium closes a dialog at the second Escape whatever the page does: keep this one open
    box.addEventListener("keydown", (event) => event.key === "Escape" && event.preventDefault());
    document.body.append(box);
    box.showModal();
    looked.focus();
  });
}

/** A question with a form: resolves to its FormData, or null when it was closed. */
export function dialog(title, fields, yes, no = N_("Back")) {
  return new Promise((resolve) => {
    const form = h(
      "form",
      { method: "dialog", novalidate: true },
      h("h2", { id: "dialog-title" }, say(title)),
      ...fields,
      h(
        "div",
        { class: "row" },
        yes && h("button", { type: "submit", value: "yes", class: "grow" }, say(yes)),
        h("button", { type: "button", class: "quiet grow", onclick: () => box.close() }, say(no)),
      ),
    );
    const box = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    form.addEventListener("submit", (event) => {
      if (!form.reportValidity()) event.preventDefault();
    });
    box.addEventListener("close", () => {
      resolve(box.returnValue === "yes" ? new FormData(form) : null);
      box.remove();
    });
    document.body.append(box);
    box.showModal();
  });
}
