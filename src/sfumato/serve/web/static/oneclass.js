// The one-class autoencoder of sfumato.filter.oneclass and the statistics of filter.enroll, for
// one person: eqs (2) to (6) of the paper docl, ADADELTA, the same draws from the same seed. Its
// settings come with the page (`page_settings` of filter.enroll); it has none of its own.

import { Generator } from "./random.js";

const EPSILON = 1e-6;  // ADADELTA's, as torch has it

function steps(config, count) {
  return Math.max(config.least_steps, Math.ceil((config.epochs * count) / config.batch_size));
}

class Network {
  constructor(dim, hidden, seed) {
    const generator = new Generator(seed);
    const bound = Math.sqrt(6 / (dim + hidden));
    this.dim = dim;
    this.hidden = hidden;
    this.encoder = generator.uniform(hidden * dim, bound);
    this.encoderBias = new Float64Array(hidden);
    this.decoder = generator.uniform(dim * hidden, bound);
    this.decoderBias = new Float64Array(dim);
  }

  get parameters() {
    return [this.encoder, this.encoderBias, this.decoder, this.decoderBias];
  }

  // Eq. (2), into `code`.
  encode(x, code) {
    for (let m = 0; m < this.hidden; m += 1) {
      const row = m * this.dim;
      let sum = this.encoderBias[m];
      for (let d = 0; d < this.dim; d += 1) sum += this.encoder[row + d] * x[d];
      code[m] = sum > 0 ? sum : 0;
    }
    return code;
  }

  // Eq. (3), one dimension.
  decoded(code, d) {
    const row = d * this.hidden;
    let sum = this.decoderBias[d];
    for (let m = 0; m < this.hidden; m += 1) sum += this.decoder[row + m] * code[m];
    return 1 / (1 + Math.exp(-sum));
  }

  // Eq. (6).
  error(x) {
    const code = this.encode(x, new Float64Array(this.hidden));
    let sum = 0;
    for (let d = 0; d < this.dim; d += 1) sum += (x[d] - this.decoded(code, d)) ** 2;
    return sum;
  }

  // Add the gradient of eq. (4) for one row, times `scale`, to `gradients`. The encoder sees
  // `noisy`, the decoder the code times `kept`; the target is the whole row.
  backward({ x, noisy, kept }, scale, gradients, scratch) {
    const [encoder, encoderBias, decoder, decoderBias] = gradients;
    const { code, back } = scratch;
    this.encode(noisy, code);
    for (let m = 0; m < this.hidden; m += 1) code[m] *= kept[m];
    back.fill(0);
    for (let d = 0; d < this.dim; d += 1) {
      const row = d * this.hidden;
      const slope = scale * (this.decoded(code, d) - x[d]);
      decoderBias[d] += slope;
      for (let m = 0; m < this.hidden; m += 1) {
        decoder[row + m] += slope * code[m];
        back[m] += slope * this.decoder[row + m];
      }
    }
    for (let m = 0; m < this.hidden; m += 1) {
      if (code[m] === 0) continue;  // ReLU passes nothing back, nor does what was hidden
      const row = m * this.dim;
      const passed = back[m] * kept[m];
      encoderBias[m] += passed;
      for (let d = 0; d < this.dim; d += 1) encoder[row + d] += passed * noisy[d];
    }
  }
}

class Adadelta {
  constructor(parameters, { rho, lr }) {
    this.rho = rho;
    this.lr = lr;
    this.parts = parameters.map((values) => ({
      values,
      squares: new Float64Array(values.length),
      moved: new Float64Array(values.length),
    }));
  }

  step(gradients) {
    const { rho, lr } = this;
    this.parts.forEach(({ values, squares, moved }, part) => {
      const gradient = gradients[part];
      for (let i = 0; i < values.length; i += 1) {
        const g = gradient[i];
        squares[i] = rho * squares[i] + (1 - rho) * g * g;
        const move = (Math.sqrt(moved[i] + EPSILON) / Math.sqrt(squares[i] + EPSILON)) * g;
        moved[i] = rho * moved[i] + (1 - rho) * move * move;
        values[i] -= lr * move;
      }
    });
  }
}

// One person's batches and noise, from one generator in the order in which Python draws them.
class Draws {
  constructor(images, config, seed) {
    this.images = images;
    this.config = config;
    this.generator = new Generator(seed);
    this.order = [];
    this.passes = 0;
  }

  // The next batch: rows as they are, as the encoder sees them, and the factors of their codes.
  next() {
    const { batch_size: size, noise, code_noise: codeNoise, hidden } = this.config;
    // Random passes over all images, end to end; each takes the next view of every image.
    while (this.order.length < size) {
      const view = this.passes % this.images[0].length;
      const again = this.generator.permutation(this.images.length);
      this.order = this.order.concat(again.map((row) => this.images[row][view]));
      this.passes += 1;
    }
    const batch = this.order.slice(0, size);
    this.order = this.order.slice(size);
    const noisy = batch.map((x) => {
      const kept = this.#kept(x.length, noise);
      return kept === null ? x : kept.map((factor, d) => factor * x[d]);
    });
    const whole = new Float64Array(hidden).fill(1);
    return batch.map((x, i) => ({ x, noisy: noisy[i], kept: this.#kept(hidden, codeNoise) ?? whole }));
  }

  // Factors that hide a share of so many numbers and scale up the others; null where none is hidden.
  #kept(count, share) {
    if (share === 0) return null;
    const limit = Math.fround(share);  // torch compares in float32
    const factors = new Float64Array(count);
    for (let i = 0; i < count; i += 1) {
      factors[i] = (this.generator.next() & 0xffffff) * 2 ** -24 >= limit ? 1 / (1 - share) : 0;
    }
    return factors;
  }
}

// Train on images, each an array of its views' features in [0, 1]; `stepped` is called after each step.
export function train(images, config, seed, stepped = () => {}) {
  const dim = images[0][0].length;
  const network = new Network(dim, config.hidden, seed);
  const result = new Network(dim, config.hidden, seed);
  const optimizer = new Adadelta(network.parameters, config);
  const gradients = network.parameters.map((values) => new Float64Array(values.length));
  const scratch = { code: new Float64Array(config.hidden), back: new Float64Array(config.hidden) };
  const draws = new Draws(images, config, seed);
  for (let step = 0; step < steps(config, images.length); step += 1) {
    gradients.forEach((gradient) => gradient.fill(0));
    for (const row of draws.next()) {
      network.backward(row, 1 / config.batch_size, gradients, scratch);
    }
    optimizer.step(gradients);
    average(result, network, config.average, step);
    stepped();
  }
  return result;
}

// Move the result towards the weights, by a share that falls as steps are taken; all of the way
// where the last weights are wanted.
function average(result, network, eta, step) {
  const share = eta === null ? 1 : (eta + 1) / (eta + 1 + step);
  result.parameters.forEach((values, part) => {
    const now = network.parameters[part];
    for (let i = 0; i < values.length; i += 1) values[i] += share * (now[i] - values[i]);
  });
}

// Tensor.tensor_split: the first parts have one row more.
function split(rows, count) {
  const size = Math.floor(rows.length / count);
  const more = rows.length % count;
  const starts = Array.from({ length: count + 1 }, (_, i) => i * size + Math.min(i, more));
  return starts.slice(1).map((end, i) => rows.slice(starts[i], end));
}

// Which images each network trains on, and on which it is measured; the first one is the result.
function plan(shuffled, { heldOut, folds: most, few }, seed) {
  const held = Math.max(1, Math.round(heldOut * shuffled.length));
  if (shuffled.length >= few) {
    const own = shuffled.slice(held);
    return { calibration: "held-out", own, jobs: [{ images: own, measured: shuffled.slice(0, held), seed }] };
  }
  const folds = split(shuffled, Math.min(most, shuffled.length));
  const jobs = folds.map((fold, i) => ({
    images: folds.filter((other) => other !== fold).flat(), measured: fold, seed: seed + i + 1,
  }));
  return { calibration: "cross-fitted", own: shuffled, jobs: [{ images: shuffled, measured: [], seed }, ...jobs] };
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

// Mean and covariance of the codes of own rows.
function codeStatistics(network, rows) {
  const m = network.hidden;
  const codes = rows.map((x) => network.encode(x, new Float64Array(m)));
  const middle = Float64Array.from({ length: m }, (_, i) => mean(codes.map((code) => code[i])));
  const covariance = new Float64Array(m * m);
  for (const code of codes) {
    for (let i = 0; i < m; i += 1) {
      for (let j = 0; j < m; j += 1) {
        covariance[i * m + j] += ((code[i] - middle[i]) * (code[j] - middle[j])) / (rows.length - 1);
      }
    }
  }
  return { middle, covariance };
}

// What sfumato.filter.enroll.enroll returns, without the backbone's name, by the settings of
// `page_settings` there. `views` has the features of each picture's views, on which it trains;
// `features` are of the pictures, and measure. `progress` gets the share that is done.
export function enroll(features, views, settings, seed, progress = () => {}) {
  const { training: config, calibration: measuring } = settings;
  if (features.length < 2) throw new Error(`expected at least 2 usable pictures, got ${features.length}`);
  const shuffled = new Generator(seed).permutation(features.length);
  const { calibration, own, jobs } = plan(shuffled, measuring, seed);
  const total = jobs.reduce((sum, job) => sum + steps(config, job.images.length), 0);
  let done = 0;
  const stepped = () => { done += 1; progress(done / total); };
  const errors = [];
  const [network] = jobs.map((job) => {
    const trained = train(job.images.map((row) => views[row]), config, job.seed, stepped);
    errors.push(...job.measured.map((row) => trained.error(features[row])));
    return trained;
  });
  const mu = Math.max(mean(errors), measuring.least);
  const spread = Math.sqrt(errors.reduce((sum, e) => sum + (e - mu) ** 2, 0) / (errors.length - 1));
  const { middle, covariance } = codeStatistics(network, own.flatMap((row) => views[row]));
  return {
    tensors: {
      encoder: [[config.hidden, network.dim], network.encoder],
      encoder_bias: [[config.hidden], network.encoderBias],
      decoder: [[network.dim, config.hidden], network.decoder],
      decoder_bias: [[network.dim], network.decoderBias],
      code_mean: [[config.hidden], middle],
      code_covariance: [[config.hidden, config.hidden], covariance],
    },
    mu,
    sigma: Math.max(spread, measuring.leastSpread * mu, measuring.least),
    calibration,
    count: features.length,
  };
}
