// The camera as a scanner: the browser's own BarcodeDetector, else zxing-wasm from our own server.

import { $, h, say } from "./dom.js";
import { notice } from "./feedback.js";

const FORMATS = ["code_128", "data_matrix", "qr_code", "ean_13", "ean_8", "upc_a", "codabar", "itf"];
const EVERY_MS = 180;
const SAME_MS = 2000;
let stream = null;

async function reader() {
  if ("BarcodeDetector" in globalThis) {
    const known = await BarcodeDetector.getSupportedFormats();
    const formats = FORMATS.filter((format) => known.includes(format));
    if (formats.includes("code_128")) {
      const detector = new BarcodeDetector({ formats });
      return async (video) => (await detector.detect(video)).map((found) => found.rawValue);
    }
  }
  const zxing = await import("./vendor/zxing/reader/index.js");
  zxing.prepareZXingModule({ overrides: { locateFile: (file) => `/static/vendor/zxing/${file}` } });
  const canvas = new OffscreenCanvas(1, 1);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  return async (video) => {
    if (!video.videoWidth) return [];
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    pen.drawImage(video, 0, 0);
    const picture = pen.getImageData(0, 0, canvas.width, canvas.height);
    return (await zxing.readBarcodes(picture, { maxNumberOfSymbols: 1 })).map((found) => found.text);
  };
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  $("#viewfinder").replaceChildren();
  $("#viewfinder").hidden = true;
  $("#camera").setAttribute("aria-pressed", "false");
}

/** Turn the camera on or off; `deliver(code, "scanned")` gets what it sees, each code once in a while. */
export async function toggle(deliver) {
  if (stream) return stop();
  const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", ...size } });
  } catch {
    return notice(say("The camera can't be used: allow it for this page, or type the number"));
  }
  const video = h("video", { autoplay: true, muted: true, playsinline: true });
  video.srcObject = stream;
  $("#viewfinder").replaceChildren(video);
  $("#viewfinder").hidden = false;
  $("#camera").setAttribute("aria-pressed", "true");
  await watch(video, await reader(), deliver);
}

async function watch(video, read, deliver) {
  let seen = "";
  let at = 0;
  while (stream) {
    for (const code of await read(video).catch(() => [])) {
      if (code === seen && performance.now() - at < SAME_MS) continue;
      [seen, at] = [code, performance.now()];
      deliver(code, "scanned");
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
