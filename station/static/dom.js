// Small helpers that every page uses.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const words = JSON.parse($("#words")?.textContent || "{}");

/** A text in the reader's language; `{name}` is replaced by the value of that name. */
export function say(text, values = {}) {
  return (Object.hasOwn(words, text) ? words[text] : text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Marks a text that is shown elsewhere, so that `make messages` finds it. */
export const N_ = (text) => text;

/** The text for one, or for another number: many(3, "1 tube", "{n} tubes"). */
export const many = (n, one, more) => say(n === 1 ? one : more, { n });

/** An element: h("li", {class: "x", onclick: f}, "text", element, …). Text is never parsed as HTML. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of the station's icons. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** What the server put into the page as <script type="application/json" id="…">. */
export const facts = (id) => JSON.parse($(`#${id}`).textContent);

/** Ask the server: the answer's JSON with `status`; {status: 0} where there is no signal. */
export async function ask(method, path, body) {
  const options = { method, headers: { Accept: "application/json" }, signal: AbortSignal.timeout(15000) };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  try {
    const answer = await fetch(path, options);
    const text = await answer.text();
    const json = text && answer.headers.get("content-type")?.includes("json") ? JSON.parse(text) : null;
    return { status: answer.status, ok: answer.ok, json };
  } catch {
    return { status: 0, ok: false, json: null };
  }
}

/** The clock of this device with its offset from UTC: 2026-11-21T09:12:44.120-05:00. */
export function moment(date = new Date()) {
  const offset = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offset * 60000).toISOString().slice(0, 23);
  const two = (n) => String(Math.floor(Math.abs(n))).padStart(2, "0");
  return `${local}${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(offset % 60)}`;
}
