// Public features as sfumato.features computes them, of the backbones `raw` and `gradients`:
// preprocessing, network, projection and scaler, on planes of floats in [0, 1].

import { read } from "./safetensors.js";

const GREY = [0.2989, 0.587, 0.114];  // torchvision's weights of red, green and blue
const ORIENTATIONS = 8;
const GRID = 7;
const FIRST_BLUR = 0.175;
const SECOND_BLUR = 0.25;

// Return the extractor of a backbone file: `input` makes of a picture {width, height, planes} (1 or 3
// planes) what the network is given, and `feature` makes a feature of that, or of a view of it.
export function openBackbone(buffer) {
  const { metadata, tensors } = read(buffer);
  const { kind, preprocess } = JSON.parse(metadata.config);
  const [height, width] = preprocess.size;
  const network = { raw: (planes) => joined(planes), gradients: ([plane]) => gradients(plane, width, height) }[kind];
  if (!network) throw new Error(`the extractor ${kind} cannot be computed here`);
  return {
    input: (picture) => {
      const planes = channels(picture.planes, preprocess.channels);
      return { width, height, planes: planes.map((plane) => resize(plane, picture, { width, height })) };
    },
    feature: ({ planes }) => scale(project(network(planes), tensors), tensors),
  };
}

function joined(planes) {
  const all = new Float64Array(planes.length * planes[0].length);
  planes.forEach((plane, i) => all.set(plane, i * plane.length));
  return all;
}

function channels(planes, wanted) {
  if (planes.length === wanted) return planes;
  if (wanted === 3) return [planes[0], planes[0], planes[0]];
  const [red, green, blue] = planes;
  return [red.map((value, i) => GREY[0] * value + GREY[1] * green[i] + GREY[2] * blue[i])];
}

// Bilinear with antialiasing, as torch: a triangle as wide as the step, cut at the border.
function resize(plane, from, to) {
  if (from.width === to.width && from.height === to.height) return plane;
  const wide = resizeRows(plane, from.width, to.width, from.height);
  const turned = transpose(wide, to.width, from.height);
  const tall = resizeRows(turned, from.height, to.height, to.width);
  return transpose(tall, to.height, to.width).map((value) => Math.min(1, Math.max(0, value)));
}

function resizeRows(plane, from, to, rows) {
  if (from === to) return plane;
  const result = new Float64Array(rows * to);
  taps(from, to).forEach(({ start, weights }, x) => {
    for (let row = 0; row < rows; row += 1) {
      let sum = 0;
      for (let i = 0; i < weights.length; i += 1) sum += weights[i] * plane[row * from + start + i];
      result[row * to + x] = sum;
    }
  });
  return result;
}

function taps(from, to) {
  const step = from / to;
  const width = Math.max(step, 1);
  return Array.from({ length: to }, (_, x) => {
    const center = step * (x + 0.5);
    const start = Math.max(Math.trunc(center - width + 0.5), 0);
    const end = Math.min(Math.trunc(center + width + 0.5), from);
    const weights = [];
    for (let i = start; i < end; i += 1) {
      weights.push(Math.max(0, 1 - Math.abs((i - center + 0.5) / width)));
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { start, weights: weights.map((weight) => weight / sum) };
  });
}

function transpose(plane, width, height) {
  const result = new Float64Array(plane.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) result[x * height + y] = plane[y * width + x];
  }
  return result;
}

// sfumato.nets.gradients: the root of gradient energy by orientation and cell.
function gradients(plane, width, height) {
  const rows = Math.max(1, Math.min(GRID, Math.floor(height / 2)));
  const columns = Math.max(1, Math.min(GRID, Math.floor(width / 2)));
  const cell = Math.sqrt((height / rows) * (width / columns));
  const smooth = blur(plane, width, height, FIRST_BLUR * cell);
  const feature = new Float64Array(ORIENTATIONS * rows * columns);
  oriented(smooth, width, height).forEach((energy, orientation) => {
    const spread = blur(energy, width, height, SECOND_BLUR * cell);
    const cells = pool(spread, width, height, columns, rows);
    cells.forEach((value, i) => {
      feature[orientation * cells.length + i] = Math.sqrt(Math.max(0, value / Math.SQRT2));
    });
  });
  return feature;
}

function oriented(plane, width, height) {
  const energies = Array.from({ length: ORIENTATIONS }, () => new Float64Array(plane.length));
  const value = (x, y) => plane[clamp(y, height) * width + clamp(x, width)];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const dx = value(x + 1, y) - value(x - 1, y);
      const dy = value(x, y + 1) - value(x, y - 1);
      const length = Math.sqrt(dx * dx + dy * dy + 1e-12);
      energies.forEach((energy, i) => {
        const angle = (2 * Math.PI * i) / ORIENTATIONS;
        const along = Math.max(0, dx * Math.cos(angle) + dy * Math.sin(angle));
        energy[y * width + x] = (along * along) / length;
      });
    }
  }
  return energies;
}

const clamp = (place, length) => Math.min(length - 1, Math.max(0, place));

// A Gaussian that repeats the border: along columns, then along rows.
function blur(plane, width, height, sigma) {
  const reach = Math.max(1, Math.ceil(3 * sigma));
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const kernel = weights.map((weight) => weight / total);
  const across = blurRows(transpose(plane, width, height), height, width, kernel, reach);
  return blurRows(transpose(across, height, width), width, height, kernel, reach);
}

function blurRows(plane, width, height, kernel, reach) {
  const result = new Float64Array(plane.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      let sum = 0;
      for (let i = -reach; i <= reach; i += 1) sum += kernel[i + reach] * plane[y * width + clamp(x + i, width)];
      result[y * width + x] = sum;
    }
  }
  return result;
}

// Means over cells that may overlap by a pixel, as adaptive_avg_pool2d.
function pool(plane, width, height, columns, rows) {
  const cells = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const [top, bottom] = [Math.floor((row * height) / rows), Math.ceil(((row + 1) * height) / rows)];
      const [left, right] = [Math.floor((column * width) / columns), Math.ceil(((column + 1) * width) / columns)];
      let sum = 0;
      for (let y = top; y < bottom; y += 1) {
        for (let x = left; x < right; x += 1) sum += plane[y * width + x];
      }
      cells[row * columns + column] = sum / ((bottom - top) * (right - left));
    }
  }
  return cells;
}

function project(feature, tensors) {
  const components = tensors["projection.components"];
  if (!components) return feature;
  const [count, dim] = components.shape;
  const middle = tensors["projection.mean"].values;
  return Float64Array.from({ length: count }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < dim; i += 1) sum += (feature[i] - middle[i]) * components.values[row * dim + i];
    return sum;
  });
}

function scale(feature, tensors) {
  const low = tensors["scaler.low"].values;
  const high = tensors["scaler.high"].values;
  return feature.map((value, i) => Math.min(1, Math.max(0, (value - low[i]) / (high[i] - low[i]))));
}
