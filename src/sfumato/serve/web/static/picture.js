// A picture file to planes of floats in [0, 1], as sfumato.data.decoding.decode: upright, 8 bits, in sRGB,
// transparency laid on white. The browser decodes; nothing leaves this thread.

import { check } from "./formats.js";

export async function decode(file) {
  check(new Uint8Array(await file.arrayBuffer()));
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "default" });
  const { width, height } = bitmap;
  const context = canvas(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return smaller(planes(context.getImageData(0, 0, width, height).data), width, height);
}

// As sfumato.data.decoding.decode.ImageLimits.kept_pixels.
const KEPT = 16_000_000;

// A larger picture is halved until it has no more: each pixel is the mean of a square.
export function smaller(whole, width, height, kept = KEPT) {
  let factor = 1;
  while (width * height > kept * factor ** 2) factor *= 2;
  if (factor === 1) return { width, height, planes: whole };
  const [across, down] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const mean = (plane) => Float64Array.from({ length: across * down }, (_, i) => {
    const [left, top] = [(i % across) * factor, Math.floor(i / across) * factor];
    const [right, bottom] = [Math.min(left + factor, width), Math.min(top + factor, height)];
    let sum = 0;
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += plane[y * width + x];
    return Math.round(255 * sum / ((right - left) * (bottom - top))) / 255;
  });
  return { width: across, height: down, planes: whole.map(mean) };
}

// Some browsers alter what is read from a canvas, against tracking; features of such pictures
// would not be those that the service computes.
export function canvasIsExact() {
  const context = canvas(16, 16);
  const drawn = context.createImageData(16, 16);
  drawn.data.forEach((_, i) => { drawn.data[i] = i % 4 === 3 ? 255 : (i * 37) % 256; });
  context.putImageData(drawn, 0, 0);
  const found = context.getImageData(0, 0, 16, 16).data;
  return found.every((value, i) => value === drawn.data[i]);
}

function canvas(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  return context;
}

// Grey where all colours are: the grey of an RGB file would be smaller by 1 in 10,000, because
// torchvision's weights add up to 0.9999.
function planes(pixels) {
  const [red, green, blue] = [0, 1, 2].map((offset) =>
    Float64Array.from({ length: pixels.length / 4 }, (_, i) => pixels[4 * i + offset] / 255));
  const grey = red.every((value, i) => value === green[i] && value === blue[i]);
  return grey ? [red] : [red, green, blue];
}
