// The two units of a bank's threshold, as people read and set them.
//
// `alpha`: sigmas above a mean error. `false_blocks`: the share of strangers' uploads that may be
// blocked, set in powers of ten. `position` is where a value lies on a slider or an axis.

const share = (value) => (value >= 0.001 ? `${Number((100 * value).toPrecision(2))} %` : value.toExponential(1));

// Two places, or a power of ten where that would be a row of digits.
const number = (value) => (Math.abs(value) < 1e6 ? value.toFixed(2) : value.toExponential(1));

export const UNITS = {
  alpha: {
    field: "alpha",
    title: "Alpha, sigmas",
    axis: "alpha, sigmas",
    ticks: [0, 2, 4, 6, 8].map((value) => [value / 8, String(value)]),
    slider: { min: 0, max: 8, step: 0.1 },
    input: { min: 0, max: 20, step: 0.1 },
    position: (value) => value,
    value: (position) => position,
    along: (value) => value / 8,
    words: (value) => `alpha ${value}`,
    distance: (margin) => `${number(margin)} sigmas inside the claim`,
    compared: (score, threshold) => `${number(score)} against ${number(threshold)} sigmas`,
  },
  false_blocks: {
    field: "false_blocks",
    title: "Share of strangers blocked",
    axis: "share of strangers blocked",
    ticks: [-6, -4, -2].map((power) => [(power + 6) / 5.7, power === -2 ? "1 %" : `10^${power}`]),
    slider: { min: -6, max: -0.4, step: 0.1 },
    input: { min: 0.000001, max: 0.5, step: "any" },
    position: (value) => Math.log10(value),
    value: (position) => Number((10 ** position).toPrecision(3)),
    along: (value) => (Math.log10(value) + 6) / 5.7,
    words: (value) => `${share(value)} of strangers' uploads blocked`,
    distance: (margin) => `${(10 ** margin).toPrecision(2)} times rarer among strangers than the threshold`,
    compared: (score, threshold) => `as rare as ${share(10 ** score)} of strangers' pictures, against ${share(10 ** threshold)}`,
  },
};

// The point of a curve at a value of its threshold: the last one that is not above it.
export function at(curve, value) {
  const reached = curve.points.filter((point) => point.threshold <= value * (1 + 1e-9));
  return reached.length ? reached[reached.length - 1] : curve.points[0];
}
