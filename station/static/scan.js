// Scanning: wedge scanners (a burst of keys that ends with CR, LF, CRLF, Tab or nothing), the camera, and typing as the
// last resort. Works wherever the focus is; focus returns to the scan field automatically.

import { $, N_, say } from "./dom.js";
import { verdict } from "./feedback.js";
import { clean, fault, verify } from "./identifiers.js";

const GAP_MS = 100; // keys further apart are not of one scan
const SCANNER_MS = 45; // a scanner's keys are closer than this on average; nobody types that fast
const IDLE_MS = 140; // a scan without a suffix is over after this silence
const BLANK_MS = 250; // after an accepted scan, further ones are not taken for this long
const SHORTEST = 4;
const LINE_MAX = 30;

const state = { keys: "", from: 0, last: -1e9, target: null, before: "", finished: -1e9, accepted: -1e9, idle: 0 };
const line = [];
let handler = null;
let working = false;

const isText = (element) => element?.matches?.("input:not([type=checkbox]):not([type=radio]),textarea");

/** Start scanning: `take(code, how)` gets one code after the other, each awaited before the next. */
export function startScanning(take) {
  handler = take;
  const field = $("#scan");
  document.addEventListener("keydown", onKey, true);
  if (matchMedia("(pointer: coarse)").matches) field.inputMode = "none"; // no keyboard on the screen unless asked for
  $("#type").addEventListener("click", () => {
    field.inputMode = "text";
    $("#type").setAttribute("aria-pressed", "true");
    field.focus();
  });
  $("#camera").addEventListener("click", async () => (await import("./camera.js")).toggle(deliver));
  document.addEventListener("focusout", () => setTimeout(back, 120));
  document.addEventListener("click", () => setTimeout(back, 120));
  addEventListener("focus", back);
  show("ready");
  back();
}

/** Whether scans are taken; a page says no while it waits for a decision. */
export function pause(paused, why = "") {
  state.paused = paused ? why || "paused" : "";
  show(paused ? "paused" : "ready");
  if (!paused) back();
}

/** Ask for another thing to be scanned. */
export function prompt(text, values) {
  $("#prompt").textContent = say(text, values);
}

function back() {
  const active = document.activeElement;
  if (!document.hidden && (!active || active === document.body || active === $("#main")) && !$("dialog[open]"))
    $("#scan")?.focus({ preventScroll: true });
}

function show(name) {
  $("#scanner").dataset.state = name;
}

function onKey(event) {
  if (event.isComposing || event.altKey || event.metaKey || event.repeat) return;
  const now = event.timeStamp;
  const near = now - state.last < GAP_MS;
  if (isSuffix(event)) return onSuffix(event, now, near);
  const key = event.ctrlKey ? (event.key === "]" ? "\u001d" : "") : event.key.length === 1 ? event.key : "";
  if (!key) return;
  if (!near) {
    Object.assign(state, { keys: "", from: now, target: event.target, before: event.target.value ?? "" });
  }
  state.keys += key;
  state.last = now;
  if (event.ctrlKey || (!isText(event.target) && key === " " && state.keys.length > 1)) event.preventDefault();
  if (!isText(event.target)) $("#scan").value = "";
  clearTimeout(state.idle);
  state.idle = setTimeout(onSilence, IDLE_MS);
}

const isSuffix = (event) => event.key === "Enter" || event.key === "Tab" || (event.ctrlKey && "jm".includes(event.key));
const isBurst = () =>
  state.keys.length >= SHORTEST && (state.last - state.from) / (state.keys.length - 1) < SCANNER_MS;

function onSuffix(event, now, near) {
  const field = $("#scan");
  const stop = () => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  if (near && isBurst()) {
    stop();
    // after pauses between the keys, only the field has all of them; where there are separators, only the keys have
    const whole = state.target === field && !verify(clean(state.keys)) && field.value.endsWith(state.keys);
    finish(whole ? field.value : state.keys, "scanned", now);
  } else if (now - state.finished < GAP_MS * 2 && !(event.target === field && field.value)) stop(); // the LF of a CRLF
  else if (event.key === "Enter" && event.target === field) {
    stop();
    if (field.value.trim()) finish(field.value, "typed", now);
  } else if (event.key === "Enter" && event.target.matches("input:not([type=checkbox]):not([type=radio]),select")) {
    event.preventDefault(); // Enter never sends a half-filled form
  }
  Object.assign(state, { keys: "", last: -1e9 }); // what was typed before it is no scan when silence follows
}

function onSilence() {
  const field = $("#scan");
  if (isBurst() && state.keys.length >= SHORTEST * 2) finish(state.keys, "scanned", state.last);
  else if (state.target === field && verify(clean(field.value))) finish(field.value, "typed", performance.now());
}

function finish(raw, how, at) {
  clearTimeout(state.idle);
  const { target, before } = state;
  Object.assign(state, { keys: "", last: -1e9, finished: at });
  if (isText(target) && target.id !== "scan" && how === "scanned") target.value = before; // it was not meant for there
  $("#scan").value = "";
  deliver(raw, how, at);
  setTimeout(back, 0);
}

/** Take a code from any source. `at`: when it was scanned; a slow device may get to it much later. */
export function deliver(raw, how, at = performance.now()) {
  const code = clean(raw);
  const wrong = fault(code);
  if ($("dialog.red[open]")) return;
  if ($("dialog[open]")) return verdict("warn", N_("Not now: decide first"));
  if (state.paused) return verdict("warn", state.paused === "paused" ? N_("Not now: decide first") : state.paused);
  if (wrong) return verdict("bad", wrong);
  if (how !== "typed" && at - state.accepted < BLANK_MS) return verdict("warn", N_("Too fast: that scan was not taken"));
  if (line.length >= LINE_MAX) return verdict("warn", N_("Too fast: that scan was not taken"));
  state.accepted = at;
  show("blanking");
  setTimeout(() => state.paused || show("ready"), BLANK_MS);
  line.push([code, how]);
  work();
}

async function work() {
  if (working) return;
  working = true;
  try {
    while (line.length) {
      const [code, how] = line.shift();
      await handler(code, how);
    }
  } finally {
    working = false;
  }
}
