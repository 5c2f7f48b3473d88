// Offline: the station's own files, and the pick-up page. No other page and no answer of the API is ever cached, so no
// patient's data is.

const SHELL = "labtrail-shell-1";
const PAGES = "labtrail-pages-1";
const FILES = [
  "base.css", "parts.css", "icons.svg", "icon.svg", "shell.js", "dom.js", "identifiers.js", "queue.js", "feedback.js",
  "scan.js", "camera.js", "pickup.js", "vendor/zxing/share.js", "vendor/zxing/reader/index.js", "vendor/zxing/zxing_reader.wasm",
].map((name) => `/static/${name}`);
const OFFLINE_PAGE = "/pick-up";

addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  const old = async () => {
    for (const name of await caches.keys()) if (![SHELL, PAGES].includes(name)) await caches.delete(name);
    await clients.claim();
  };
  event.waitUntil(old());
});

addEventListener("message", (event) => {
  if (event.data === "forget") event.waitUntil(caches.delete(PAGES));
});

/** From the network, which also updates the cache; without it, from the cache. */
async function freshOrKept(request, name, keep) {
  const cache = await caches.open(name);
  try {
    const answer = await fetch(request);
    if (keep && answer.ok && !answer.redirected) await cache.put(request.url.split("?")[0], answer.clone());
    if (keep && answer.status === 401) await cache.delete(request.url.split("?")[0]);
    return answer;
  } catch (fault) {
    const kept = await cache.match(request, { ignoreSearch: true, ignoreVary: true });
    if (kept) return kept;
    throw fault;
  }
}

addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.startsWith("/static/")) event.respondWith(freshOrKept(request, SHELL, true));
  else if (request.mode === "navigate" && url.pathname === OFFLINE_PAGE) event.respondWith(freshOrKept(request, PAGES, true));
});
