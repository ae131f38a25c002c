// The draws of torch.Generator().manual_seed(seed) on a CPU: MT19937 (Matsumoto and Nishimura,
// 1998), so that a training here takes the same weights, batches and folds as one in Python.

const N = 624;
const M = 397;

export class Generator {
  constructor(seed) {
    this.state = new Uint32Array(N);
    this.place = N;
    this.state[0] = seed >>> 0;
    for (let i = 1; i < N; i += 1) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, last) + i;
    }
  }

  // 32 random bits.
  next() {
    if (this.place === N) this.#twist();
    let y = this.state[this.place];
    this.place += 1;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist() {
    const s = this.state;
    for (let i = 0; i < N; i += 1) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % N] & 0x7fffffff);
      s[i] = s[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }

  // Tensor.uniform_(-bound, bound): 24 bits of each draw.
  uniform(count, bound) {
    const drawn = new Float64Array(count);
    for (let i = 0; i < count; i += 1) {
      const share = (this.next() & 0xffffff) * 2 ** -24;
      drawn[i] = Math.fround(share * Math.fround(2 * bound) - Math.fround(bound));
    }
    return drawn;
  }

  // torch.randperm.
  permutation(count) {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = 0; i < count - 1; i += 1) {
      const j = i + (this.next() % (count - i));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
