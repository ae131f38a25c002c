// Reads private pictures and trains. This worker's own policy lets it send nothing anywhere; what
// it makes goes to the page that started it.

import { openBackbone } from "./backbone.js";
import { keyFile, newKey, seal } from "./enrollment.js";
import { enroll } from "./oneclass.js";
import { canvasIsExact, decode } from "./picture.js";
import { Views } from "./views.js";

const STEP = 0.005;  // of the work between two reports

addEventListener("message", async ({ data }) => {
  try {
    postMessage({ kind: "done", ...(await work(data)) });
  } catch (error) {
    postMessage({ kind: "failed", reason: error.message });
  }
});

async function work({ files, backbone, policy, settings, seed }) {
  if (!canvasIsExact()) {
    throw new Error("this browser alters the pixels that a page reads; allow canvas data for this site, or use the command line");
  }
  const { augmentation } = settings.training;
  const views = augmentation && new Views(augmentation, files.length, seed);
  const { features, trained, skipped } = await read(files, openBackbone(backbone), views, policy.image_limit_bytes);
  const made = enroll(features, trained, settings, seed, reporter("training"));
  const key = await newKey();
  const file = await seal(made, policy.backbone, key);
  return { file, key: await keyFile(key), skipped, count: made.count, mu: made.mu, sigma: made.sigma };
}

// Features of the pictures, and what the network is trained on: of views of each, or of the picture.
async function read(files, extractor, views, limit) {
  const features = [];
  const trained = [];
  const skipped = [];
  const report = reporter("reading pictures");
  for (const [i, file] of files.entries()) {
    try {
      if (file.size > limit) throw new Error("it is too large");
      const input = extractor.input(await decode(file));
      features.push(extractor.feature(input));
      trained.push(views ? views.of(input).map(extractor.feature) : [features.at(-1)]);
    } catch (error) {
      skipped.push({ name: file.name, reason: error.message });
    }
    report((i + 1) / files.length);
  }
  return { features, trained, skipped };
}

function reporter(stage) {
  let last = -1;
  return (share) => {
    if (share < 1 && share - last < STEP) return;
    last = share;
    postMessage({ kind: "progress", stage, share });
  };
}
