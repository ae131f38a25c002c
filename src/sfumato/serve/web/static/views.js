// Random views of a network's input, as sfumato.features.views: the same numbers from the same seed.

import { Generator } from "./random.js";

const FALL = 0.5;  // of the ranges, by the number of pictures

// What draws the views of one person's pictures, in order; `count` is how many pictures there are.
export class Views {
  constructor(augmentation, count, seed) {
    const pictures = Math.max(1, count);
    this.augmentation = augmentation;
    this.each = Math.max(1, Math.min(augmentation.most, Math.floor(augmentation.total / pictures)));
    this.reach = Math.min(1, (augmentation.few / pictures) ** FALL);
    this.generator = new Generator(seed);
  }

  // All views of one input {width, height, planes}.
  of(input) {
    return Array.from({ length: this.each }, () => this.#map()).map((map) => ({
      ...input, planes: input.planes.map((plane) => warped(plane, input, map)),
    }));
  }

  // A map from places of a view to places of a square picture, both in [-1, 1].
  #map() {
    const { rotation, zoom, move } = this.augmentation;
    const [angle, larger, right, down] = Array.from(this.generator.uniform(4, 1), (drawn) => this.reach * drawn);
    const radians = (angle * rotation * Math.PI) / 180;
    const scale = Math.exp(-larger * Math.log1p(zoom));
    const [cos, sin] = [scale * Math.cos(radians), scale * Math.sin(radians)];
    return [[cos, -sin, 2 * move * right], [sin, cos, 2 * move * down]];
  }
}

// Bilinear, with what is at the edge beyond it: torch's grid_sample with padding `border`.
function warped(plane, { width, height }, [[a, b, right], [c, d, down]]) {
  const result = new Float64Array(plane.length);
  for (let y = 0; y < height; y += 1) {
    const v = (2 * y + 1) / height - 1;
    for (let x = 0; x < width; x += 1) {
      const u = (2 * x + 1) / width - 1;
      // A rotation is one of the picture, not of the square that [-1, 1] makes of it.
      const toX = a * u + ((b * height) / width) * v + right;
      const toY = ((c * width) / height) * u + d * v + down;
      result[y * width + x] = between(plane, width, height, place(toX, width), place(toY, height));
    }
  }
  return result;
}

const place = (share, side) => Math.min(side - 1, Math.max(0, ((share + 1) * side - 1) / 2));

function between(plane, width, height, x, y) {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [more, lower] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
  const across = (row) => plane[row * width + left] * (1 - (x - left)) + plane[row * width + more] * (x - left);
  return across(top) * (1 - (y - top)) + across(lower) * (y - top);
}
