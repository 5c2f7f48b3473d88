// The list of orders: a scan opens one.
import { $$ } from "./dom.js";
import { verdict } from "./feedback.js";
import { startScanning } from "./scan.js";

startScanning(async (code) => {
  const row = $$("#orders > li").find((one) => one.dataset.order === code);
  if (!row) return verdict("bad", "No order with this number waits here");
  verdict("ok", "Found");
  location.assign(`/collect/${encodeURIComponent(code)}`);
});
