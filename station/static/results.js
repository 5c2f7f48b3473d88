// A scanned tube leads to its results.
import { N_ } from "./dom.js";
import { verdict } from "./feedback.js";
import { isAccession } from "./identifiers.js";
import { startScanning } from "./scan.js";

startScanning((code) => {
  if (!isAccession(code)) return verdict("bad", N_("This is no tube"));
  verdict("ok", N_("Found"));
  location.assign(`/results/${code}`);
});
