// The list of orders: a scan opens one.
import { $$, N_ } from "./dom.js";
import { verdict } from "./feedback.js";
import { startScanning } from "./scan.js";

startScanning(async (code) => {
  const row = $$("#orders > li").find((one) => one.dataset.order === code);
  if (!row) return verdict("bad", N_("No order with this number waits here"));
  verdict("ok", N_("Found"));
  location.assign(`/collect/${encodeURIComponent(code)}`);
});
