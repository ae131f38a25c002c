// What the command line refuses, the page refuses: a browser would decode the first frame of an
// animation, and show high dynamic range in its own way.

const FORMATS = "PNG, JPEG, WebP, GIF, BMP or AVIF";
const SEVERAL = "expected a still picture, got an animation; take one frame of it";
const BRIGHT = "expected colours up to white, got high dynamic range; save it in standard range";
const HDR_TRANSFERS = [16, 18];  // PQ and HLG

export function check(bytes) {
  const facts = look(bytes);
  if (!facts) throw new Error(`expected ${FORMATS}, which a browser shows; or use the command line`);
  if (facts.several) throw new Error(SEVERAL);
  if (HDR_TRANSFERS.includes(facts.transfer)) throw new Error(BRIGHT);
}

function look(bytes) {
  const starts = (text, place = 0) => word(bytes, place, text.length) === text;
  if (starts("\x89PNG\r\n\x1a\n")) return png(bytes);
  if (starts("GIF87a") || starts("GIF89a")) return { several: gif(bytes) > 1 };
  if (starts("RIFF") && starts("WEBP", 8)) return { several: webp(bytes) > 1 };
  if (starts("ftypavif", 4) || starts("ftypavis", 4)) return avif(bytes);
  return starts("\xff\xd8\xff") || starts("BM") ? {} : null;
}

const word = (bytes, place, length = 4) => String.fromCharCode(...bytes.subarray(place, place + length));

function png(bytes) {
  const view = new DataView(bytes.buffer);
  const found = {};
  let [animated, frames, pixels] = [false, false, false];
  for (let place = 8; place + 8 <= bytes.length; place += 12 + view.getUint32(place)) {
    const kind = word(bytes, place + 4);
    pixels ||= kind === "IDAT";
    animated ||= kind === "acTL" && !pixels;
    frames ||= kind === "fdAT";
    if (kind === "cICP" && !pixels) found.transfer ??= bytes[place + 9];
  }
  return { ...found, several: animated && frames };
}

function gif(bytes) {
  const palette = (flags) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  const pastBlocks = (start) => {
    let place = start;
    while (bytes[place]) place += 1 + bytes[place];
    return place + 1;
  };
  let pictures = 0;
  let place = 13 + palette(bytes[10]);
  while (place < bytes.length && bytes[place] !== 0x3b) {
    if (bytes[place] === 0x2c) {
      pictures += 1;
      place = pastBlocks(place + 11 + palette(bytes[place + 9]));
    } else if (bytes[place] === 0x21) {
      place = pastBlocks(place + 2);
    } else if (bytes[place] === 0) {
      place += 1;
    } else {
      throw new Error("expected a whole GIF");
    }
  }
  return pictures;
}

function webp(bytes) {
  const view = new DataView(bytes.buffer);
  let frames = 0;
  for (let place = 12; place + 8 <= bytes.length;) {
    if (word(bytes, place) === "ANMF") frames += 1;
    const length = view.getUint32(place + 4, true);
    place += 8 + length + (length % 2);
  }
  return frames;
}

function avif(bytes) {
  const head = word(bytes, 0, Math.min(bytes.length, 4096));
  const place = head.indexOf("colrnclx");
  const transfer = place < 0 ? undefined : bytes[place + 11];
  return { several: head.startsWith("ftypavis", 4), transfer };
}
