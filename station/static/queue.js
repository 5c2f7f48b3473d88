// The queue of unsent scans. A scan gets its id and time when it is made, is kept in IndexedDB, and is deleted only
// when the server has answered 2xx for it. Sending twice does no harm: the server takes each id once. Only opaque
// numbers are kept, never a name. An entry belongs to the badge that made it and is sent under that badge only.

import { N_, ask, moment } from "./dom.js";

const STORE = "unsent";
const KEPT = "kept";
const BATCH = 50;
const MOST = 5000;
const ANSWER_MS = 5000;
const EVERY_MS = 8000;
const EVENTS = "/api/v1/events";
const channel = new BroadcastChannel("labtrail-queue");
const waiting = new Map();
let opening;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("labtrail", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE, { keyPath: "id" });
      request.result.createObjectStore(KEPT, { keyPath: "key" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

/** One transaction; resolves when it is durable. */
export async function inStore(name, mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(name, mode, { durability: "strict" });
    const request = work(...[name].flat().map((one) => transaction.objectStore(one)));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

export const entries = async () => (await inStore(STORE, "readonly", (store) => store.getAll())).sort((a, b) => a.at - b.at);
const keep = (entry) => inStore(STORE, "readwrite", (store) => store.put(entry));

/** An entry and a note of the page, both or neither. */
const keepBoth = (entry, note) =>
  inStore([STORE, KEPT], "readwrite", (unsent, kept) => (kept.put(note), unsent.put(entry)));
const forget = (ids) => inStore(STORE, "readwrite", (store) => ids.map((id) => store.delete(id)).at(-1));
const me = () => document.body.dataset.badge || "";

/** Record that something happened. Resolves when it is safe on this device, to {id, answer}: the promise of its
 *  outcome, {outcome: "queued"} while there is no answer. `note` ({key, …}) is kept together with it, both or neither. */
export function record(type, subject, data, { site, time = moment(), note } = {}) {
  const event = { specversion: "1.0", id: crypto.randomUUID(), source: "/station", type, subject, time, data };
  event.actor = me();
  event.site = site || document.body.dataset.site;
  return enter({ id: event.id, path: EVENTS, body: event }, note);
}

/** As `record`, and wait for its outcome. */
export async function send(...happened) {
  return (await record(...happened)).answer;
}

/** Report a near miss; opaque numbers only. */
export const nearMiss = (body) => enter({ id: crypto.randomUUID(), path: "/api/v1/near-misses", body });

/** A page's own note on this device, and what it was. */
export const keepNote = (note) => inStore(KEPT, "readwrite", (store) => store.put(note));
export const readNote = (key) => inStore(KEPT, "readonly", (store) => store.get(key));
export const dropNote = (key) => inStore(KEPT, "readwrite", (store) => store.delete(key));

async function enter(entry, note) {
  if ((await inStore(STORE, "readonly", (store) => store.count())) >= MOST)
    return { id: entry.id, answer: Promise.resolve({ outcome: "refused", detail: N_("This device holds too many unsent scans: find a signal first") }) };
  const whole = { ...entry, owner: me(), at: performance.timeOrigin + performance.now() };
  await (note ? keepBoth(whole, note) : keep(whole));
  const answer = new Promise((resolve) => {
    waiting.set(entry.id, resolve);
    setTimeout(() => settle(entry.id, { outcome: "queued" }), ANSWER_MS);
  });
  await tell();
  flush();
  return { id: entry.id, answer };
}

function settle(id, outcome) {
  waiting.get(id)?.(outcome);
  waiting.delete(id);
}

/** Show every open page how many scans are unsent. */
async function tell(outcomes = []) {
  const all = await entries();
  const refused = all.filter((entry) => entry.refused);
  const subjects = refused.map((entry) => entry.body.subject).filter(Boolean);
  const news = { count: all.length, refused: refused.length, subjects, others: all.filter((entry) => entry.owner !== me()).length, outcomes };
  channel.postMessage(news);
  hear(news);
}

function hear(news) {
  for (const outcome of news.outcomes) settle(outcome.id, outcome);
  document.dispatchEvent(new CustomEvent("labtrail:unsent", { detail: news }));
}
channel.onmessage = (message) => hear(message.data);

let running = null;
let again = false;

/** Send what is unsent. One page at a time does it. */
export function flush() {
  if (running) {
    again = true;
    return running;
  }
  running = oneAtATime(drain).catch(() => {}).finally(() => {
    running = null;
    if (again) {
      again = false;
      flush();
    }
  });
  return running;
}

const oneAtATime = (work) => (navigator.locks ? navigator.locks.request("labtrail-queue", work) : work());

async function drain() {
  while (me()) {
    const mine = (await entries()).filter((entry) => entry.owner === me() && !entry.refused);
    const events = mine.filter((entry) => entry.path === EVENTS).slice(0, BATCH);
    if (!mine.length || !(await post(events.length ? events : mine.slice(0, 1)))) return;
  }
}

/** Post some entries of one path: whether to go on with what is left. */
async function post(some) {
  const { path } = some[0];
  const bodies = some.map((entry) => entry.body);
  const answer = await ask("POST", path, path === EVENTS ? bodies : bodies[0]);
  if (answer.ok) {
    await forget(some.map((entry) => entry.id));
    await tell(Array.isArray(answer.json) ? answer.json : some.map((entry) => ({ ...answer.json, id: entry.id })));
    return true;
  }
  if (answer.status === 401) document.dispatchEvent(new CustomEvent("labtrail:signed-out"));
  const faults = answer.json?.faults ?? [];
  // without a named fault, a 403 is about the device or the session, not about the scan: it stays queued and is retried
  const judged = [400, 413, 422].includes(answer.status) || (answer.status === 403 && (faults.length || path !== EVENTS));
  if (!judged) return false;
  const wrong = faults.length ? faults : [{ id: some[0].id, detail: answer.json?.detail }];
  const named = new Map(wrong.map((one) => [one.id ?? some[one.index]?.id, one.detail || one.reason]));
  const refused = some.filter((entry) => named.has(entry.id));
  for (const entry of refused) await keep({ ...entry, refused: named.get(entry.id) || String(answer.status) });
  await tell(refused.map((entry) => ({ id: entry.id, outcome: "refused", detail: named.get(entry.id) })));
  return refused.length > 0;
}

/** Try refused scans again, once the fault is fixed. */
export async function retry() {
  for (const entry of await entries()) if (entry.refused) await keep({ ...entry, refused: undefined });
  await tell();
  return flush();
}

/** Throw a refused scan away: a person's deliberate act. */
export async function discard(id) {
  await forget([id]);
  await tell();
}

/** Start: ask for persistent storage, and send what an earlier page left. */
export async function startQueue() {
  navigator.storage?.persist?.();
  addEventListener("online", flush);
  setInterval(flush, EVERY_MS);
  document.addEventListener("visibilitychange", () => document.hidden || flush());
  await tell();
  flush();
}
