/* The lab's computation: draws real matrices, sends a batch forward and a gradient back, measures
 * each layer, and lays the theory over it. No DOM: it runs in a worker, in a page and under Node.
 *
 * Names are those of the Python package `winit`. The network is
 *   z_1 = x W_1ᵀ,  z_{l+1} = φ(N(z_l)) W_{l+1}ᵀ,  with a residual path z_{l+1} = z_l + β φ(N(z_l)) W_{l+1}ᵀ
 * where N is the identity or layer normalization and β is 1 or 1/√L.
 *
 * Matrices of a batch are stored unit by unit: value [unit * batch + example]. Weights are stored
 * with unit std, and their std is a number beside them; so are signals, with a unit of their own. What
 * shrinks or grows over a hundred layers stays a number in this way where float32 has none.
 */
"use strict";

const Engine = (() => {
  // ---------------------------------------------------------------- what can be set

  const SCHEMES = [
    "zeros", "constant", "normal", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform",
    "lecun_normal", "lecun_uniform", "orthogonal", "depth_gain", "orthogonal_depth_gain",
  ];
  const RESIDUALS = ["none", "plain", "scaled", "zero"];
  const NORMS = ["none", "layer"];
  const TASKS = ["spiral", "circles", "moons"];
  const OPTIMIZERS = ["sgd", "adam"];
  const DEFAULTS = {
    scheme: "he_normal", std: 0.05, activation: "relu", depth: 30, width: 128, scale: 1,
    residual: "none", norm: "none", seed: 1, batch: 32,
  };
  // Smallest, largest, and what it must be a multiple of (0: any number).
  const RANGES = {
    std: [1e-3, 10, 0], depth: [1, 100, 1], width: [8, 512, 8], scale: [0.01, 100, 0],
    seed: [0, 4294967295, 1], batch: [8, 128, 8],
  };
  const EPS = 1e-5; // of layer normalization

  // Bounds of the audit, `winit.judge` and `winit.diagnostics`: a test compares them.
  const BOUND = 100, STEEP = BOUND ** 2, STEEP_NORMALIZED = 1e6, HANIN = 5, SPREADS = 4, COLLAPSED = 2 ** -16;
  const LOW = 1 / BOUND ** 2, HIGH = BOUND, SATURATED = 0.75, MOSTLY = 0.95, ALIKE = 0.5, FLAT = 0.05, DEAD = 1e-3;
  const LARGEST = 3.4028234663852886e38; // of float32
  // A share of the second moment that rounding makes as well: it moves a number of float32 by up to 2⁻²⁴ of
  // it, its square by 4e-15, and a layer has several roundings.
  const FLOOR = 1e-13;

  // ---------------------------------------------------------------- activations

  const { exp, log, sqrt, abs, tanh, PI } = Math;
  const sigmoid = (x) => { const e = exp(-abs(x)); return (x >= 0 ? 1 : e) / (1 + e); };
  const softplus = (x) => Math.max(x, 0) + Math.log1p(exp(-abs(x)));
  const ERFC = [ // Chebyshev coefficients of ln erfc, as in Press et al., Numerical Recipes
    -1.3026537197817094, 6.4196979235649026e-1, 1.9476473204185836e-2, -9.561514786808631e-3,
    -9.46595344482036e-4, 3.66839497852761e-4, 4.2523324806907e-5, -2.0278578112534e-5,
    -1.624290004647e-6, 1.30365583558e-6, 1.5626441722e-8, -8.5238095915e-8, 6.529054439e-9,
    5.059343495e-9, -9.91364156e-10, -2.27365122e-10, 9.6467911e-11, 2.394038e-12, -6.886027e-12,
    8.94487e-13, 3.13092e-13, -1.12708e-13,
  ];
  const erfc = (x) => {
    const z = abs(x), t = 2 / (2 + z), y = 4 * t - 2;
    let d = 0, dd = 0;
    for (let i = ERFC.length - 1; i > 0; i--) [d, dd] = [y * d - dd + ERFC[i], d];
    const tail = t * exp(-z * z + 0.5 * (ERFC[0] + y * d) - dd);
    return x >= 0 ? tail : 2 - tail;
  };
  const erf = (x) => {
    if (abs(x) > 0.5) return 1 - erfc(x);
    let term = x, sum = x; // the series keeps the digits of small x
    for (let n = 1; n < 12; n++) sum += (term *= -x * x / n) / (2 * n + 1);
    return 2 / sqrt(PI) * sum;
  };
  const ndtr = (x) => 0.5 * erfc(-x * Math.SQRT1_2);
  const elu = (scale, alpha) => ({
    f: (x) => scale * (x > 0 ? x : alpha * Math.expm1(x)),
    d: (x) => scale * (x > 0 ? 1 : alpha * exp(x)),
    kinks: [0],
  });
  const clip = (low, high) => ({
    f: (x) => Math.min(Math.max(x, low), high),
    d: (x) => (x > low && x <= high ? 1 : 0),
    kinks: [low, high],
  });
  const geluInner = (x) => tanh(sqrt(2 / PI) * (x + 0.044715 * x * x * x));
  const leaky = (slope) => ({
    f: (x) => (x > 0 ? x : slope * x), d: (x) => (x > 0 ? 1 : slope), kinks: [0],
  });
  // f is the function, d its derivative from x and y = f(x), from the left where it jumps; `kinks`
  // are where quadrature splits, `bounded` says that it is flat on both sides.
  const FUNCTIONS = {
    linear: { f: (x) => x, d: () => 1, kinks: [] },
    relu: { f: (x) => Math.max(x, 0), d: (x) => Number(x > 0), kinks: [0] },
    relu6: clip(0, 6),
    elu: elu(1, 1),
    selu: elu(1.0507009873554805, 1.6732632423543773),
    gelu: {
      f: (x) => x * ndtr(x), d: (x) => ndtr(x) + x * exp(-x * x / 2) / sqrt(2 * PI), kinks: [],
    },
    gelu_tanh: {
      f: (x) => 0.5 * x * (1 + geluInner(x)),
      d: (x) => {
        const t = geluInner(x);
        if (abs(x) > 100) return x > 0 ? 1 : 0;
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / PI) * (1 + 3 * 0.044715 * x * x);
      },
      kinks: [],
    },
    silu: {
      f: (x) => x * sigmoid(x), d: (x) => { const s = sigmoid(x); return s * (1 + x * (1 - s)); },
      kinks: [],
    },
    mish: {
      f: (x) => x * tanh(softplus(x)),
      d: (x) => { const t = tanh(softplus(x)); return t + x * (1 - t * t) * sigmoid(x); },
      kinks: [],
    },
    softplus: { f: softplus, d: sigmoid, kinks: [] },
    softsign: {
      f: (x) => x / (1 + abs(x)), d: (x) => (1 / (1 + abs(x))) ** 2, kinks: [0], bounded: true,
    },
    tanh: { f: tanh, d: (x, y) => 1 - y * y, kinks: [], bounded: true },
    lecun_tanh: {
      f: (x) => 1.7159 * tanh(2 / 3 * x), d: (x, y) => 1.7159 * 2 / 3 * (1 - (y / 1.7159) ** 2),
      kinks: [], bounded: true,
    },
    sigmoid: { f: sigmoid, d: (x, y) => y * (1 - y), kinks: [], bounded: true },
    erf: { f: erf, d: (x) => 2 / sqrt(PI) * exp(-x * x), kinks: [], bounded: true },
    hard_tanh: { ...clip(-1, 1), bounded: true },
    sin: {
      f: Math.sin, d: Math.cos, kinks: [],
      moments: (q) => [-Math.expm1(-2 * q) / 2, (1 + exp(-2 * q)) / 2], // E φ², E φ'²
    },
    leaky_relu: leaky(0.01),
  };
  const ACTIVATIONS = Object.keys(FUNCTIONS);

  // ---------------------------------------------------------------- checking a state

  const CHOICES = { scheme: SCHEMES, activation: ACTIVATIONS, residual: RESIDUALS, norm: NORMS };
  const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;

  /** What was asked for, short enough for a message. */
  const shown = (value) => {
    let text = typeof value;
    try { text = String(value).trim() || "nothing"; } catch { /* its type, then */ }
    return text.length > 30 ? `${text.slice(0, 29)}…` : text;
  };

  const numberOf = (value) => {
    if (typeof value === "string" && NUMBER.test(value)) return Number(value);
    return typeof value === "number" ? value : NaN;
  };

  /** The nearest number in a range, or null where nothing is near. */
  function nearest(value, [low, high, step]) {
    const number = numberOf(value);
    if (Number.isNaN(number)) return null;
    const inside = Math.min(Math.max(number, low), high);
    return step ? Math.round(inside / step) * step : inside;
  }

  /** What is wrong with a number; null if nothing is. */
  function wrong(value, [low, high, step]) {
    const number = numberOf(value);
    if (Number.isNaN(number)) return "is no number";
    if (number < low) return `is below ${low}`;
    if (number > high) return `is above ${high}`;
    if (!step || number % step === 0) return null;
    return step > 1 ? `is no multiple of ${step}` : "is no whole number";
  }

  /** A state that can be run, and what was changed for it, in words. */
  function validate(given = {}) {
    const state = { ...DEFAULTS }, messages = [];
    if (given === null || typeof given !== "object" || Array.isArray(given)) {
      return { state, messages: [`${shown(given)} is no state: the defaults are used`] };
    }
    for (const [key, value] of Object.entries(given)) {
      let what = null;
      if (!Object.hasOwn(DEFAULTS, key)) {
        messages.push(`${shown(key)} is no setting of the lab: it is left out`);
        continue;
      }
      if (key in RANGES) {
        what = wrong(value, RANGES[key]);
        state[key] = nearest(value, RANGES[key]) ?? state[key];
      } else if (CHOICES[key].includes(value)) state[key] = value;
      else what = `is none of ${CHOICES[key].join(", ")}`;
      if (what) messages.push(`${key}=${shown(value)} ${what}: ${state[key]} is used`);
    }
    return { state, messages };
  }

  // ---------------------------------------------------------------- random numbers

  // The ziggurat of 256 layers of equal area under exp(-x²/2): Marsaglia & Tsang 2000.
  const EDGE = 3.6541528853610088, AREA = 4.92867323399e-3;
  const density = (x) => exp(-x * x / 2);
  const ENDS = new Float64Array(257); // right ends of the layers, from the bottom
  ENDS[0] = AREA / density(EDGE);
  ENDS[1] = EDGE;
  for (let i = 2; i < 256; i++) {
    ENDS[i] = sqrt(-2 * log(AREA / ENDS[i - 1] + density(ENDS[i - 1])));
  }
  const HEIGHTS = ENDS.map(density);
  // A signed number of 24 bits, below `inside` in size, is under the curve for sure, and the number that
  // is drawn is `widths` times it. Under a uniform density of std 1 it always is.
  const table = (inside, width) => ({
    inside: Int32Array.from({ length: 256 }, (_, i) => inside(i)),
    widths: Float64Array.from({ length: 256 }, (_, i) => Math.fround(width(i) / 2 ** 23)),
  });
  const NORMAL = table((i) => Math.floor(2 ** 23 * ENDS[i + 1] / ENDS[i]), (i) => ENDS[i]);
  const UNIFORM = table(() => 2 ** 24, () => sqrt(3));

  const rotate = (x, k) => (x << k) | (x >>> (32 - k));

  /** Start the stream `stream` of a seed by a hash of both: the state of xoshiro128**, and those of
   * four xoshiro128++, word by word. */
  function start(state, seed, stream) {
    let h = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) | 0;
    for (let i = 0; i < state.length; i++) {
      h = (h + 0x6d2b79f5) | 0; // MurmurHash3's finalizer, with a step between
      let x = h ^ Math.imul(stream, 0x85ebca6b + 2 * i);
      x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
      state[i] = x ^ (x >>> 16) ^ (i ? rotate(state[i - 1], 7) : 0);
    }
    if (!(state[0] | state[1] | state[2] | state[3])) state[0] = 1;
    for (let i = 0; i < 8; i++) next(state);
  }

  /** 32 random bits: xoshiro128** of Blackman & Vigna 2021. */
  function next(s) {
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9), t = s[1] << 9;
    s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]; s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** One lane of a block of random bits: xoshiro128++ of Blackman & Vigna 2021. */
  function randomBits(state, lane, out, size) {
    const at = (word) => LANES * (1 + word) + lane;
    let a = state[at(0)], b = state[at(1)], c = state[at(2)], d = state[at(3)];
    for (let q = lane; q < size; q += LANES) {
      out[q] = rotate((a + d) | 0, 7) + a;
      const t = b << 9;
      c ^= a; d ^= b; b ^= c; a ^= d; c ^= t;
      d = rotate(d, 11);
    }
    state[at(0)] = a; state[at(1)] = b; state[at(2)] = c; state[at(3)] = d;
  }

  /** A uniform number above 0 and below 1. */
  const uniform = (s) => ((next(s) >>> 8) + 0.5) / 2 ** 24;

  /** A normal number where the bits fell into layer i, but not surely under the curve. */
  function outside(s, i, j) {
    if (i === 0) { // the tail: Marsaglia 1964
      for (;;) {
        const x = -log(uniform(s)) / EDGE, y = -log(uniform(s));
        if (2 * y >= x * x) return j < 0 ? -EDGE - x : EDGE + x;
      }
    }
    const x = j * NORMAL.widths[i], height = HEIGHTS[i] + uniform(s) * (HEIGHTS[i + 1] - HEIGHTS[i]);
    return height < density(x) ? x : normal(s);
  }

  /** A number from N(0, 1). */
  function normal(s) {
    const bits = next(s), i = bits & 255, j = bits >> 8;
    return abs(j) < NORMAL.inside[i] ? j * NORMAL.widths[i] : outside(s, i, j);
  }

  // ---------------------------------------------------------------- kernels

  const LANES = 4, STATE = 4 + 4 * LANES, BLOCK = 1024, BITS = new Int32Array(BLOCK);
  const TILE = new Float64Array(4 * 512), PANEL = new Float64Array(512 * 128);
  const HEAP = 12416; // of kernels.wat

  /** The sums of one tile, to z[o]: a function of its own, which is compiled well. */
  function sumTile(tile, panel, q, terms, z, o, batch) {
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0, p = 0;
    const end = 4 * terms;
    do {
      const x = panel[q], y = panel[q + 1], w0 = tile[p], w1 = tile[p + 1], w2 = tile[p + 2], w3 = tile[p + 3];
      s0 += w0 * x; s1 += w1 * x; s2 += w2 * x; s3 += w3 * x;
      t0 += w0 * y; t1 += w1 * y; t2 += w2 * y; t3 += w3 * y;
      p += 4; q += 2;
    } while (p < end);
    z[o] = s0; z[o + batch] = s1; z[o + 2 * batch] = s2; z[o + 3 * batch] = s3;
    z[o + 1] = t0; z[o + batch + 1] = t1; z[o + 2 * batch + 1] = t2; z[o + 3 * batch + 1] = t3;
  }

  /** The loops of kernels.wat in plain JavaScript: sums in double, results in float32. Arrays are made
   * in one memory, and become invalid with `free`. */
  class PlainKernels {
    constructor() {
      this.name = "JavaScript";
      this.buffer = new ArrayBuffer(0);
      this.state = new Int32Array(STATE);
      this.top = HEAP;
    }

    free() { this.top = HEAP; }

    /** Make room for so many more numbers, which must happen before the arrays are made. */
    reserve(size) {
      const bytes = this.top + 4 * size;
      if (bytes > this.buffer.byteLength) this.buffer = new ArrayBuffer(bytes);
    }

    /** A new array, of whatever is there. */
    raw(size) {
      const made = new Float32Array(this.buffer, this.top, size);
      this.top += Math.ceil(size / 4) * 16;
      return made;
    }

    /** A new array of zeros. */
    array(size) { return this.raw(size).fill(0); }

    start(seed, stream) { start(this.state, seed, stream); }

    /** Fill an array with numbers from N(0, 1), or with UNIFORM ones of std 1. */
    numbers(out, { inside, widths } = NORMAL) {
      const bits = BITS;
      for (let from = 0; from < out.length; from += BLOCK) {
        const size = Math.min(BLOCK, LANES * Math.ceil((out.length - from) / LANES));
        for (let lane = 0; lane < LANES; lane++) randomBits(this.state, lane, bits, size);
        for (let q = 0; q < size; q++) {
          const i = bits[q] & 255, j = bits[q] >> 8;
          if (abs(j) < inside[i]) out[from + q] = j * widths[i];
          else out[from + q] = outside(this.state, i, j);
        }
      }
    }

    /** z[r][b] = Σ_k w[r * row + k * column] a[k][b]: tiles of 4 rows and 2 examples, each copied side
     * by side first. */
    product(w, row, column, a, z, rows, terms, batch) {
      const tile = TILE, panel = PANEL;
      for (let b = 0, q = 0; b < batch; b += 2) {
        for (let k = 0, p = b; k < terms; k++, p += batch) { panel[q++] = a[p]; panel[q++] = a[p + 1]; }
      }
      for (let r = 0; r < rows; r += 4) {
        for (let k = 0, p = r * row, q = 0; k < terms; k++, p += column) {
          tile[q++] = w[p]; tile[q++] = w[p + row]; tile[q++] = w[p + 2 * row]; tile[q++] = w[p + 3 * row];
        }
        for (let b = 0; b < batch; b += 2) sumTile(tile, panel, b * terms, terms, z, r * batch + b, batch);
      }
    }

    /** Householder vectors whose product is uniform over the orthogonal matrices: Stewart 1980.
     * v_r has n - r numbers after a zero; `factors` are 2 / |v_r|², and then n signs. */
    reflections(v, factors, n) {
      this.numbers(v);
      for (let r = 0, p = 0; r < n; r++) {
        v[p++] = 0;
        const end = p + n - r, x = v[p], last = r === n - 1;
        let even = 0, odd = 0, q = p;
        for (; q + 1 < end; q += 2) { even += v[q] * v[q]; odd += v[q + 1] * v[q + 1]; }
        const square = even + odd + (q < end ? v[q] * v[q] : 0);
        const root = x < 0 ? -sqrt(square) : sqrt(square);
        factors[n + r] = x < 0 ? 1 : -1;
        factors[r] = last ? 0 : 1 / (square + x * root);
        v[p] = last ? 0 : x + root;
        p = end;
      }
    }

    /** a -= factor v (vᵀ a) for each vector v, the last first, or `backwards` the first. */
    reflect(v, factors, a, n, batch, backwards) {
      const sums = new Float64Array(batch);
      for (let i = 0; i < n; i++) {
        const r = backwards ? i : n - 1 - i, from = r * (n + 1) - r * (r - 1) / 2 + 1 - r;
        sums.fill(0);
        for (let k = r; k < n; k++) {
          const x = v[from + k] * factors[r];
          for (let b = 0, q = k * batch; b < batch; b++, q++) sums[b] += x * a[q];
        }
        for (let k = r; k < n; k++) {
          const x = v[from + k];
          for (let b = 0, q = k * batch; b < batch; b++, q++) a[q] -= x * sums[b];
        }
      }
    }
  }

  const PAGE = 65536, TABLES = [128, 2176], STRIPE = 16; // examples that kernels.wat reflects at a time

  /** The same by kernels.wat, on arrays in its memory. */
  class WasmKernels extends PlainKernels {
    constructor(module) {
      super();
      this.name = "WebAssembly";
      const outside_ = (i, j) => outside(this.state, i, j);
      this.code = new WebAssembly.Instance(module, { engine: { outside: outside_ } }).exports;
      this.reserve(0);
      [NORMAL, UNIFORM].forEach(({ inside, widths }, t) => inside.forEach((size, i) => {
        new Int32Array(this.buffer, TABLES[t] + 8 * i, 1)[0] = size;
        new Float32Array(this.buffer, TABLES[t] + 8 * i + 4, 1)[0] = widths[i];
      }));
    }

    reserve(size) {
      const { memory } = this.code, missing = this.top + 4 * size - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
      this.buffer = memory.buffer;
      this.state = new Int32Array(this.buffer, 0, STATE);
    }

    numbers(out, kind = NORMAL) { this.code.numbers(out.byteOffset, out.length, TABLES[Number(kind === UNIFORM)]); }

    product(w, row, column, a, z, rows, terms, batch) {
      this.code.product(w.byteOffset, 4 * row, 4 * column, a.byteOffset, z.byteOffset, rows, terms, batch);
    }

    reflect(v, factors, a, n, batch, backwards) {
      const before = this.top, panel = this.raw(n * STRIPE);
      for (let b = 0; b < batch; b += STRIPE) {
        const width = Math.min(STRIPE, batch - b);
        for (let k = 0; k < n; k++) for (let c = 0; c < width; c++) panel[k * STRIPE + c] = a[k * batch + b + c];
        this.code.reflect(v.byteOffset, factors.byteOffset, panel.byteOffset, n, backwards ? 1 : 0);
        for (let k = 0; k < n; k++) for (let c = 0; c < width; c++) a[k * batch + b + c] = panel[k * STRIPE + c];
      }
      this.top = before;
    }
  }

  let compiled = null;

  /** Compute with kernels.wat from now on, given as base64 or bytes; false where that is impossible. */
  function load(kernels) {
    try {
      const bytes = typeof kernels === "string" ? Uint8Array.from(atob(kernels), (c) => c.charCodeAt(0)) : kernels;
      compiled = new WebAssembly.Module(bytes);
    } catch {
      compiled = null; // no WebAssembly here, or none with SIMD
    }
    return compiled !== null;
  }

  /** Kernels with room for so many numbers. */
  function makeKernels(size, wasm = true) {
    const kernels = compiled && wasm ? new WasmKernels(compiled) : new PlainKernels();
    kernels.reserve(size);
    return kernels;
  }

  // ---------------------------------------------------------------- weights

  /** The std that a scheme draws with (for "constant" the value, for orthogonal ones the gain). */
  function stdOf(state, fanIn, fanOut, first) {
    const { scheme, std } = state;
    if (scheme === "zeros") return 0;
    if (scheme === "constant" || scheme === "normal") return std;
    if (scheme === "orthogonal") return 1;
    // The first kernel reads data, no activation: 1 keeps their scale.
    const gain = scheme.endsWith("depth_gain") ? (first ? 1 : depthGain(state.activation, state.depth)) : 1;
    if (scheme === "orthogonal_depth_gain") return gain;
    if (scheme === "depth_gain") return gain / sqrt(fanIn);
    if (scheme.startsWith("he")) return sqrt(2 / fanIn);
    return scheme.startsWith("glorot") ? sqrt(2 / (fanIn + fanOut)) : sqrt(1 / fanIn);
  }

  /** Each unit's row times its sign, which stands in `factors` after the n factors. */
  function flip(from, factors, n, batch, to) {
    for (let k = 0, q = 0; k < n; k++) {
      const sign = factors[n + k];
      for (const end = q + batch; q < end; q++) to[q] = sign * from[q];
    }
  }

  /** A square matrix that is drawn, given, or made of reflections, times `scale`. */
  class Kernel {
    constructor(kernels, state, layer, given) {
      const { width: n, scheme } = state;
      Object.assign(this, { kernels, n, scale: stdOf(state, n, n, layer === 0), factors: null });
      if (given) {
        this.values = kernels.raw(n * n);
        this.values.set(given);
        this.scale = 1;
      } else if (scheme === "zeros" || (state.residual === "zero" && layer > 0)) {
        this.scale = 0;
      } else {
        kernels.start(state.seed, WEIGHTS + layer);
        this.draw(scheme);
      }
    }

    draw(scheme) {
      const { kernels, n } = this, turning = scheme.startsWith("orthogonal");
      this.values = kernels.raw(turning ? n * (n + 3) / 2 : n * n);
      if (turning) kernels.reflections(this.values, (this.factors = kernels.raw(2 * n)), n);
      else if (scheme === "constant") this.values.fill(1);
      else kernels.numbers(this.values, scheme.endsWith("uniform") ? UNIFORM : NORMAL);
    }

    /** z = W a for a batch, without the factor `scale`; or Wᵀ a. */
    apply(a, z, batch, transposed = false) {
      const { kernels, n, values, factors } = this;
      if (!factors) {
        kernels.product(values, transposed ? 1 : n, transposed ? n : 1, a, z, n, n, batch);
        return;
      }
      if (transposed) z.set(a);
      else flip(a, factors, n, batch, z);
      kernels.reflect(values, factors, z, n, batch, transposed);
      if (transposed) flip(z, factors, n, batch, z);
    }
  }

  // The streams of a seed: inputs, the gradient's direction, training data, and one for each layer,
  // so that a deeper network starts as a shallower one does.
  const INPUTS = 0, DIRECTION = 1, DATA = 2, WEIGHTS = 16;

  // ---------------------------------------------------------------- one pass each way

  const meanSquare = (values) => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
    return sum / values.length;
  };

  /** The largest size; what is not a number counts as infinite. */
  const largest = (values) => {
    let top = 0;
    for (let i = 0; i < values.length; i++) {
      const size = abs(values[i]);
      if (!(size <= top)) top = size > top ? size : Infinity;
    }
    return top;
  };

  /** The power of two next to a size, which can be divided by without rounding. */
  const power = (size) => (size > 0 && size < Infinity ? 2 ** Math.max(-1000, Math.min(1000, Math.round(Math.log2(size)))) : 1);

  /** N(z) of z * unit: layer normalization over the units of each example, and 1 / its std for each. */
  function normalize(z, n, batch, unit = 1, values = new Float64Array(z.length)) {
    const inverse = new Float64Array(batch);
    for (let b = 0; b < batch; b++) {
      let mean = 0, variance = 0;
      for (let q = b; q < z.length; q += batch) mean += z[q];
      mean /= n;
      for (let q = b; q < z.length; q += batch) variance += (z[q] - mean) ** 2;
      inverse[b] = 1 / sqrt(variance / n * unit * unit + EPS);
      for (let q = b, own = unit * inverse[b]; q < z.length; q += batch) values[q] = (z[q] - mean) * own;
    }
    return { values, inverse };
  }

  /** The gradient at z from that at N(z), in place: what layer normalization lets back. */
  function normalizeBack(delta, normed, n, batch) {
    const { values, inverse } = normed;
    for (let b = 0; b < batch; b++) {
      let mean = 0, along = 0;
      for (let q = b; q < delta.length; q += batch) { mean += delta[q]; along += delta[q] * values[q]; }
      mean /= n; along /= n;
      for (let q = b; q < delta.length; q += batch) {
        delta[q] = inverse[b] * (delta[q] - mean - values[q] * along);
      }
    }
  }

  const branchScale = ({ residual, depth }) => (residual === "scaled" ? 1 / sqrt(depth) : 1);

  // The loops over a batch are functions of their own, which are compiled well.

  /** z * zUnit + out * outUnit, into z, in the unit that is given back. */
  function blend(z, zUnit, out, outUnit) {
    const unit = Math.max(zUnit, outUnit) || 1, keep = zUnit / unit, add = outUnit / unit;
    for (let q = 0; q < z.length; q++) z[q] = keep * z[q] + add * out[q];
    return unit;
  }

  /** φ(x * unit) / t and its slopes, and how many of them are flat, and units dead. */
  function activate({ f, d }, x, unit, values, t, slopes, batch, steepest) {
    const flatBelow = FLAT * steepest, deadBelow = DEAD * steepest, times = 1 / t; // t is a power of two
    let flat = 0, dead = 0;
    for (let q = 0; q < slopes.length;) {
      let still = 0;
      for (const end = q + batch; q < end; q++) {
        const u = x[q] * unit, value = f(u), slope = d(u, value), size = abs(slope);
        values[q] = value * times;
        slopes[q] = slope;
        flat += Number(size < flatBelow); // numbers, not branches that fork at random
        still += Number(size < deadBelow);
      }
      if (still === batch) dead++;
    }
    return { flat, dead };
  }

  /** out *= factor * slopes. */
  function multiply(out, factor, slopes) {
    for (let q = 0; q < out.length; q++) out[q] *= factor * slopes[q];
  }

  /** delta = keep * delta + out; its sum of squares and its largest size. */
  function addBack(delta, keep, out) {
    let square = 0, top = 0;
    for (let q = 0; q < delta.length; q++) {
      const x = keep ? keep * delta[q] + out[q] : out[q], size = abs(x);
      delta[q] = x;
      square += x * x;
      if (size > top) top = size;
    }
    return { square, top };
  }

  /** About the largest |φ| where |x| is up to `reach`, to divide by. */
  const reachOf = ({ f }, reach) => Math.max(...[reach, -reach, Math.min(reach, 1), 0].map((x) => abs(f(x))));

  /** For each layer what is measured, the largest |z|, the slopes after it, and what normalization made. */
  function forward(state, draw, x, kernels) {
    const { width: n, batch, depth, residual, norm } = state, size = n * batch;
    const phi = FUNCTIONS[state.activation], branch = branchScale(state), steepest = steepestOf(phi);
    const a = kernels.raw(size), out = kernels.raw(size), z = kernels.raw(size), layers = [];
    let t = power(largest(x)), unit = 1; // the next kernel reads a * t; the signal is z * unit
    for (let q = 0; q < size; q++) a[q] = x[q] / t;
    for (let l = 0; l < depth; l++) {
      const W = draw(l), skip = residual !== "none" && l > 0, to = skip ? out : z;
      if (W.scale) W.apply(a, to, batch);
      else to.fill(0);
      if (skip) unit = blend(z, unit, out, branch * W.scale * t);
      else unit = W.scale * t;
      const layer = { W, ...measure(z, unit, n, batch), dead: 0, saturated: 0 };
      layers.push(layer);
      if (l + 1 === depth || !(layer.top < Infinity)) break;
      layer.normed = norm === "layer" ? normalize(z, n, batch, unit, kernels.raw(size)) : null;
      layer.slopes = kernels.raw(size);
      t = power(reachOf(phi, layer.normed ? sqrt(n) : layer.top));
      const { flat, dead } = activate(phi, layer.normed?.values ?? z, layer.normed ? 1 : unit, a, t, layer.slopes, batch, steepest);
      layer.saturated = flat / size;
      layer.dead = dead / n;
    }
    return layers;
  }

  /** log10 E δ² for each layer, from a gradient at the last; and where float32 would overflow. */
  function backward(state, layers, direction, kernels) {
    const { width: n, batch, depth, residual } = state, size = n * batch;
    const delta = kernels.array(size), out = kernels.raw(size), logs = new Array(depth);
    out.set(direction);
    let exponent = 0, overflow = null; // delta is to be multiplied by 2 ** exponent
    for (let l = depth - 1, keep = 0; ; l--) {
      const { square, top } = addBack(delta, keep, out), t = power(top), { W } = layers[l];
      logs[l] = Math.log10(square / size) + 2 * exponent * Math.log10(2);
      if (Math.log2(top) + exponent > 128) overflow ??= l;
      if (l === 0) return { logs, overflow };
      if (W.scale) W.apply(delta, out, batch, true);
      else out.fill(0);
      const { slopes, normed } = layers[l - 1];
      multiply(out, branchScale(state) * W.scale / t, slopes);
      if (normed) normalizeBack(out, normed, n, batch);
      keep = residual === "none" ? 0 : 1 / t;
      exponent += Math.log2(t);
    }
  }

  // ---------------------------------------------------------------- what is measured of a layer

  const BINS = 48, REACH = 4; // of a histogram: from -4 to 4 root mean squares

  /** Of z: the sum of squares, that of the squared distances from each unit's mean, the largest size; and
   * for each unit, into `sums`, a sum with weights that differ. */
  function sumsOf(z, n, batch, signs, sums) {
    let square = 0, varying = 0, top = 0;
    for (let i = 0, q = 0; i < n; i++) {
      const first = z[q];
      let sum = 0, moved = 0, all = 0;
      for (let b = 0; b < batch; b++, q++) {
        const x = z[q], move = x - first, size = abs(x);
        square += x * x;
        sum += move;
        moved += move * move;
        all += signs[b] * x;
        if (size > top) top = size;
      }
      varying += moved - sum * sum / batch;
      sums[i] = all;
    }
    return { square, varying, top };
  }

  /** The numbers of one layer, from its z * unit. */
  function measure(z, unit, n, batch) {
    const sums = new Float64Array(n), signs = Float64Array.from({ length: batch }, (_, b) => Math.cos(b));
    const { square, varying, top: size } = sumsOf(z, n, batch, signs, sums);
    const top = square < Infinity ? size : Infinity; // or not a number
    const second = square / z.length, rms = sqrt(second);
    return {
      top: top * unit,
      q: second * unit * unit,
      log: Math.log10(second) + 2 * Math.log10(unit),
      varying: second * unit ? Math.min(1, batch / (batch - 1) * varying / square) : NaN,
      distinct: distinctUnits(z, n, batch, top, sums),
      histogram: histogram(z, rms, unit),
    };
  }

  function histogram(z, rms, unit) {
    const counts = new Int32Array(BINS + 2), scale = rms > 0 ? BINS / (2 * REACH * rms) : 0, middle = BINS / 2 + 1;
    for (let q = 0; q < z.length; q++) {
      const bin = z[q] * scale + middle; // what is outside goes to the first and the last
      counts[bin < 1 ? 0 : bin >= BINS + 1 ? BINS + 1 : bin | 0]++;
    }
    return { low: -REACH * rms * unit, high: REACH * rms * unit, counts: Array.from(counts.subarray(1, -1)), total: z.length };
  }

  /** How many units differ, by more than the rounding of float32: as `winit.distinct_units`. Equal units
   * have equal sums under any weights, so that sorting brings them together. */
  function distinctUnits(z, n, batch, top, sums) {
    if (!(top > 0)) return 1;
    const tolerance = 100 * 2 ** -23 * top, sorted = sums.slice().sort(), far = batch * tolerance;
    if (sorted.every((sum, i) => i === 0 || sum - sorted[i - 1] > far)) return n; // units that are near have near sums
    const order = Array.from(sums.keys()).sort((i, j) => sums[i] - sums[j]);
    let found = 1;
    for (let i = 1; i < n; i++) {
      const one = order[i] * batch, other = order[i - 1] * batch;
      for (let b = 0; b < batch; b++) {
        if (abs(z[one + b] - z[other + b]) > tolerance) { found++; break; }
      }
    }
    return found;
  }

  /** The steepest slope on [-10, 10]. */
  const steepestOf = (phi) => {
    let top = 0;
    for (let i = -2000; i <= 2000; i++) top = Math.max(top, abs(phi.d(i / 200, phi.f(i / 200))));
    return top;
  };

  // ---------------------------------------------------------------- theory

  // Gauss-Legendre nodes and weights of a panel, by Newton's method on the polynomial of degree 16.
  const NODES = new Float64Array(16), SHARES = new Float64Array(16);
  for (let i = 0; i < 16; i++) {
    let x = Math.cos(PI * (i + 0.75) / 16.5), slope = 1;
    for (let round = 0; round < 8; round++) {
      let p = 1, before = 0;
      for (let k = 1; k <= 16; k++) [p, before] = [((2 * k - 1) * x * p - (k - 1) * before) / k, p];
      slope = 16 * (x * p - before) / (x * x - 1);
      x -= p / slope;
    }
    NODES[i] = x;
    SHARES[i] = 2 / ((1 - x * x) * slope * slope);
  }

  /** E φ(u)² and E φ'(u)² for u ~ N(0, q), by quadrature in panels that end where φ bends. */
  function moments(activation, q) {
    const phi = FUNCTIONS[activation], root = sqrt(q), ends = [];
    if (phi.moments) return phi.moments(q);
    for (let z = -12; z <= 12; z += 1.5) ends.push(z);
    for (let x = 1; x < 12 * root; x *= x < 16 ? 2 : 4) ends.push(x / root, -x / root);
    for (const kink of phi.kinks) if (abs(kink) < 12 * root) ends.push(kink / root);
    ends.sort((a, b) => a - b);
    let signal = 0, slope = 0;
    for (let p = 1; p < ends.length; p++) {
      const half = (ends[p] - ends[p - 1]) / 2, middle = (ends[p] + ends[p - 1]) / 2;
      if (half < 1e-14) continue;
      for (let i = 0; i < 16; i++) {
        const z = middle + half * NODES[i], u = root * z, y = phi.f(u);
        const weight = half * SHARES[i] * density(z) / sqrt(2 * PI);
        signal += weight * y * y;
        slope += weight * phi.d(u, y) ** 2;
      }
    }
    return [signal, slope];
  }

  // Beyond these ln q an activation does what it does there: a power of q, or nothing more.
  const FAR = 46;

  /** ln E φ² and ln E φ'² at ln q, however large or small q is. */
  function logMoments(activation, u) {
    const inside = Math.min(Math.max(u, -FAR), FAR), here = moments(activation, exp(inside)).map(log);
    if (u === inside) return here;
    const near = moments(activation, exp(inside * (1 - 1 / FAR))).map(log);
    return here.map((value, i) => value + Math.round((value - near[i]) * Math.sign(inside)) * (u - inside));
  }

  /** What mean-field theory says of q and of the gradient, layer by layer, in log10 too. */
  function theoryOf(state) {
    const { scheme, width: n, depth, residual, norm, activation } = state;
    if (scheme === "zeros" || scheme === "constant") return { q: null, gradient: null, logs: null, width: n };
    const variance = (l) => { // of all that a layer's kernel multiplies by, in ln
      const std = residual === "zero" && l > 0 ? 0 : stdOf(state, n, n, l === 0);
      return 2 * log(std) + (scheme.startsWith("orthogonal") ? 0 : log(n));
    };
    const branch = 2 * log(branchScale(state)), add = (a, b) => Math.max(a, b) + Math.log1p(exp(-abs(a - b)));
    const q = [variance(0) + 2 * log(state.scale)], factors = [];
    for (let l = 1; l < depth; l++) {
      const last = q[l - 1], over = norm === "layer" ? add(last, log(EPS)) : 0; // of what N divides by
      const [signal, slope] = logMoments(activation, last - over);
      const own = variance(l) + (residual === "none" ? 0 : branch);
      const forwards = own + signal, backwards = own + slope - over;
      q.push(residual === "none" ? forwards : forwards > -Infinity ? add(last, forwards) : last);
      factors.push(residual === "none" ? backwards : backwards > -Infinity ? add(0, backwards) : 0);
    }
    const gradient = new Array(depth).fill(0);
    for (let l = depth - 2; l >= 0; l--) gradient[l] = gradient[l + 1] + factors[l];
    const logs = { q: q.map((u) => u / Math.LN10), gradient: gradient.map((u) => u / Math.LN10) };
    return { q: q.map(exp), gradient: gradient.map(exp), logs, width: n };
  }

  // The gain for a depth, as `winit.theory.depth_gain`: tables of both maps over ln q, and a search.
  const TABLE_END = 11.75, TABLE_STEP = 0.125;
  const remember = (compute) => {
    const known = new Map();
    return (...key) => {
      const name = key.join();
      if (!known.has(name)) known.set(name, compute(...key));
      return known.get(name);
    };
  };

  const tableOf = remember((activation) => {
    const rows = [];
    for (let u = -TABLE_END; u <= TABLE_END; u += TABLE_STEP) rows.push(logMoments(activation, u));
    return [0, 1].map((k) => Float64Array.from(rows, (row) => row[k]));
  });

  /** A value between the table's points, by the polynomial through the six around it. */
  function between(table, u) {
    const at = (u + TABLE_END) / TABLE_STEP, first = Math.min(Math.max(Math.floor(at) - 2, 0), table.length - 6);
    const x = at - first;
    let sum = 0;
    for (let i = 0; i < 6; i++) {
      let weight = table[first + i];
      for (let k = 0; k < 6; k++) if (k !== i) weight *= (x - k) / (i - k);
      sum += weight;
    }
    return sum;
  }

  /** The larger of the ranges of ln q and of the gradient's logarithm over so many steps, from q = 1. */
  function lossOf([forwards, back], logGain, steps) {
    let u = 0, product = 0, low = 0, high = 0, least = 0, most = 0;
    for (let step = 0; step < steps; step++) {
      const inside = Math.min(Math.max(u, -TABLE_END), TABLE_END);
      product += 2 * logGain + between(back, inside);
      u = 2 * logGain + between(forwards, inside) + (u - inside);
      low = Math.min(low, u); high = Math.max(high, u);
      least = Math.min(least, product); most = Math.max(most, product);
    }
    return Math.max(high - low, most - least);
  }

  /** The gain σ_w that a network of so many layers loses least with, forward and backward. */
  const depthGain = remember((activation, depth) => {
    const exact = moments(activation, 1).map((moment) => -log(moment) / 2), table = tableOf(activation);
    const loss = (logGain) => lossOf(table, logGain, depth - 1);
    let low = Math.min(...exact) - 3, step = (Math.max(...exact) + 3 - low) / 400, count = 401, best = 0;
    for (let round = 0; round < 6; round++) {
      const losses = Array.from({ length: count }, (_, i) => loss(low + i * step));
      const bound = Math.min(...losses) * (1 + 1e-12);
      const least = [...losses.keys()].filter((i) => losses[i] <= bound);
      best = low + least[least.length >> 1] * step;
      [low, step, count] = [best - 2 * step, step / 10, 41];
    }
    const candidates = [...exact, best], losses = candidates.map(loss);
    return exp(candidates[losses.findIndex((value) => value <= Math.min(...losses) + 1e-8)]);
  });

  // ---------------------------------------------------------------- in words

  /** A number as everything in the lab writes it, in two digits or more: 0.50, 12, 2.9e-5. */
  function format(value, log10 = Math.log10(abs(value)), digits = 2) {
    if (Number.isNaN(log10)) return "not known";
    if (log10 === -Infinity) return "0";
    if (log10 === Infinity) return "infinite";
    const sign = value < 0 ? "-" : "";
    if (log10 >= Math.log10(0.00995) && log10 < Math.log10(999.5)) {
      const size = 10 ** log10;
      return sign + (digits === 2 && size >= 99.5 ? size.toFixed(0) : size.toPrecision(digits));
    }
    let power = Math.floor(log10), own = (10 ** (log10 - power)).toFixed(digits - 1);
    if (Number(own) === 10) [own, power] = [(1).toFixed(digits - 1), power + 1];
    return `${sign}${own}e${power}`;
  }

  /** The same in three digits, or as many more as what a reader makes of them by hand asks for. */
  function exactly(log10, enough, digits = 3) {
    const text = format(1, log10, digits);
    return digits === 15 || enough(Math.log10(Number(text))) ? text : exactly(log10, enough, digits + 1);
  }

  /** A share that varies, as far as it can be told from rounding. */
  const varies = (share) => (share < FLOOR ? "less than 1e-13" : format(share));

  const percent = (share) => (share > 0.995 && share < 1 ? "more than 99%" : `${Math.round(100 * share)}%`);

  /** What each of some layers does, from log10 of what all of them do: "keeps 0.500 of it", "multiplies it by 2.00".
   * The factor, multiplied by itself as often as there are layers, is the total that is written. */
  const factorOf = (total, layers) => exactly(total / layers,
    (log10) => format(1, layers * log10) === format(1, total), total >= 0 && total / layers < Math.log10(1.1) ? 4 : 3);
  const does = (what, total, layers = 1) => {
    const factor = factorOf(total, layers);
    return Number(factor) > 1 ? `multiplies ${what} by ${factor}` : `keeps ${factor} of ${what}`;
  };

  const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ","); // 10,000

  const times = (log10) => `${format(1, log10)} ${log10 < 0.0022 ? "of" : "times"}`;

  const largestAt = (values) => values.reduce((best, x, l) => (x > values[best] ? l : best), 0);

  /** What happened and why: the verdict, and a sentence. The first that finds something speaks. */
  function judge(result) {
    for (const look of [overflows, unscales, dies, repeats, saturates, collapses, moves]) {
      const found = look(result, result.state);
      if (found) return { verdict: found[0], sentence: found[1] };
    }
    return null; // `moves` always speaks
  }

  function overflows({ notFinite, logs }, { depth }) {
    if (notFinite === null) return null;
    const top = 2 * Math.log10(LARGEST) - Math.log10(BOUND), at = `At layer ${notFinite}`;
    const what = "too large for float32 (above 3.4e38): a network in float32 has inf and nan from there on.";
    const before = notFinite - 2, a = logs.q[before] > logs.q[0] ? "Each layer " + does("the second moment", (logs.q[before] - logs.q[0]) / before) + ". " : "";
    if (logs.q.some((log10) => log10 > top)) return ["overflow", `${a}${at} the signal is ${what}`];
    const factor = (logs.gradient[notFinite - 1] - logs.gradient[depth - 1]) / (depth - notFinite);
    return ["overflow", `On its way back each layer ${does("the gradient's second moment", factor)}. ${at} the gradient is ${what}`];
  }

  /** Inputs far from unit scale, unless the first kernel's result is read through a normalization alone. What is set
   * decides, and no seed: a scale on a bound is none beyond it. */
  function unscales({ inputs }, { norm, residual, depth }) {
    const normalized = norm === "layer" && depth > 1;
    if ((inputs >= LOW && inputs <= HIGH) || (normalized && residual === "none")) return null;
    const said = exactly(Math.log10(inputs), (log10) => log10 < Math.log10(LOW) || log10 > Math.log10(HIGH), 2);
    const past = normalized ? " The skip path carries their scale past the normalization." : "";
    return ["inputs unscaled", `The second moment of the inputs is ${said}, where 1 is usual: the first layer would need a learning rate of its own.${past} Standardize the inputs.`];
  }

  function dies({ logs, dead }, { scheme, activation, residual }) {
    const nothing = "no signal passes, and no gradient comes back.", silent = logs.q.indexOf(-Infinity) + 1;
    if (silent && scheme === "zeros" && logs.gradient[0] > -Infinity) {
      const path = residual === "none" || logs.gradient.length === 1 ? "" : " by the skip path";
      return ["waits a step", `All weights are 0, and so is what they make of any input. The gradient arrives at layer 1${path} with ${times(logs.gradient[0])} its second moment, so the first step makes a signal.`];
    }
    if (silent && scheme === "zeros") return ["dead", `All weights are 0, and so is what they make of any input: ${nothing}`];
    if (silent) return ["dead", `At layer ${silent} every unit is 0 for every input: ${nothing}`];
    const l = largestAt(dead);
    if (!(dead[l] > MOSTLY) || FUNCTIONS[activation].bounded) return null;
    return ["dead", `At layer ${l + 1}, ${percent(dead[l])} of the units are flat for every input: they are dead, since no gradient comes back to them.`];
  }

  function repeats({ distinct }, { width }) {
    const l = distinct.findIndex((units) => units <= ALIKE * width), units = distinct[l];
    if (l < 0) return null;
    const training = "and get equal gradients: training cannot tell them apart.";
    if (units === 1) return ["symmetric", `All ${width} units of layer ${l + 1} compute the same, ${training}`];
    return ["symmetric", `Of the ${width} units of layer ${l + 1} only ${units} differ. The others are copies of them, ${training}`];
  }

  function saturates({ saturated }, { activation }) {
    const l = largestAt(saturated), phi = FUNCTIONS[activation], usual = flatShare(activation);
    const ends = [-40, 40].every((z) => abs(phi.d(z, phi.f(z))) < FLAT * steepestOf(phi));
    if (!(ends && (saturated[l] - usual) / (1 - usual) > SATURATED)) return null;
    return ["saturated", `At layer ${l + 1}, ${percent(saturated[l])} of the slopes are flat (below 5% of the steepest), where a signal of scale 1 has ${percent(usual)}. The signal is too large for ${activation}, and what is flat hardly learns.`];
  }

  function collapses({ varying }, { depth }) {
    if (!(varying[depth - 1] < COLLAPSED)) return null;
    return ["collapsed", `At layer ${depth} the share of the second moment that varies from input to input is ${varies(varying[depth - 1])}: all inputs look alike there, and training begins late or never.`];
  }

  /** Signal and gradient that vanish, explode or are kept. */
  function moves(result, state) {
    const { logs, inputs } = result, { depth: L, norm } = state;
    if (norm === "layer" && L > 1) return movesNormalized(result, L);
    const back = logs.gradient[0];
    if (L === 1) {
      const drift = logs.q[0] - Math.log10(inputs), verdict = verdictOf(drift, BOUND);
      return [verdict, `One layer alone: its second moment is ${format(1, drift)} times that of the inputs, ${verdict}.`];
    }
    const total = logs.q[L - 1] - logs.q[0], each = `Each layer ${does("the second moment", total, L - 1)}`;
    const signal = verdictOf(total, BOUND), gradient = verdictOf(back, STEEP);
    if (signal !== "kept") {
      const left = `${times(total)} the first at layer ${L}`;
      return [signal, `${each}: ${left}, ${signal}.${causeOf(result, total, L - 1)}${narrow(result, total)}`];
    }
    if (gradient !== "kept") {
      return [gradient, `${each}, but on its way back each ${does("the gradient's", back, L - 1)}: ${times(back)} it at layer 1, ${gradient}.`];
    }
    return ["kept", `${each}: ${times(total)} the first at layer ${L}, kept. ${arrives(back, 1, STEEP)}`];
  }

  /** The same from layer 2 on: whatever scale the first had, normalization has put it right. */
  function movesNormalized({ logs, state, given }, L) {
    const total = logs.q[L - 1] - logs.q[1], back = logs.gradient[1], at = (layer) => `${format(1, logs.q[layer - 1])} at layer ${layer}`;
    if (L === 2) return ["kept", `Normalization puts the scale of layer 1 right, and one layer alone follows: its second moment is ${format(1, logs.q[1])}, kept.`];
    const signal = verdictOf(total, BOUND), gradient = verdictOf(back, STEEP_NORMALIZED);
    const path = `After the first normalization, the second moment goes from ${at(2)} to ${at(L)}`;
    if (signal !== "kept") {
      const cause = state.residual !== "none" ? "each block adds to the path, and nothing takes it away"
        : `the signal is so small that the ${format(EPS)} which normalization adds to its variance counts`;
      return [signal, `${path}, ${signal}.${given ? "" : ` Why: ${cause}.`}`];
    }
    if (gradient !== "kept") return [gradient, `${path}, but on its way back to layer 2 the gradient's is multiplied by ${format(1, back)}, ${gradient}.`];
    return ["kept", `${path}, kept. ${arrives(back, 2, STEEP_NORMALIZED)}`];
  }

  /** The gradient that is kept; where it is far from 1, within which bound. */
  const arrives = (log10, layer, bound) => `The gradient arrives at layer ${layer} with ${times(log10)} its second moment${
    abs(log10) > Math.log10(BOUND) ? `, which one learning rate can still bridge: the bound is ${log10 < 0 ? "1/" : ""}${count(bound)}` : ""}.`;

  const verdictOf = (log10, bound) => (abs(log10) <= Math.log10(bound) ? "kept" : log10 < 0 ? "vanishing" : "exploding");

  /** Why the signal moves: the two factors of a layer, whose product is the one that the sentence has just named. */
  function causeOf({ state, given }, total, layers) {
    const { width, residual, activation, scheme } = state, log10 = total / layers, factor = factorOf(total, layers);
    if (given) return "";
    const digits = factor.replace(/e.*|^0\.0*|\./g, "").length, same = (made) => format(1, made, digits) === factor;
    if (residual !== "none") {
      if (!(log10 > 0)) return "";
      const added = exactly(Math.log10(10 ** log10 - 1), (own) => same(Math.log10(1 + 10 ** own)));
      return ` Why: each block adds to the path, here ${added} of what it carries.`;
    }
    const kernel = 2 * Math.log10(stdOf(state, width, width, false)) + (scheme.startsWith("orthogonal") ? 0 : Math.log10(width));
    let made = 3, parts;
    do parts = [kernel, log10 - kernel].map((part) => format(1, part, made));
    while (made++ < 15 && !same(Math.log10(Number(parts[0])) + Math.log10(Number(parts[1]))));
    return ` Why: the weights multiply it by ${parts[0]} (${scheme.startsWith("orthogonal") ? "the gain squared" : "their variance times the width"}), and ${activation} by ${parts[1]}.`;
  }

  /** A hint where the draw alone explains it: Var ln q ≈ Σ 5/n in good draws. */
  function narrow({ theory }, total) {
    if (!theory.logs) return "";
    const { q } = theory.logs, L = q.length, spread = HANIN * (L - 1) / theory.width;
    const bound = (SPREADS * sqrt(spread) + spread / 2) / Math.LN10, expected = q[L - 1] - q[0];
    if (verdictOf(expected, BOUND) !== "kept" || abs(total - expected) > bound) return "";
    return ` In theory ${format(1, expected)} is left: layers of ${theory.width} units differ as much as this from draw to draw, so try another seed.`;
  }

  /** The share of flat slopes of a normal signal of scale 1. */
  const flatShare = remember((activation) => {
    const phi = FUNCTIONS[activation], bound = FLAT * steepestOf(phi);
    let share = 0;
    for (let z = -7.995; z < 8; z += 0.01) share += abs(phi.d(z, phi.f(z))) < bound ? density(z) : 0;
    return 0.01 * share / sqrt(2 * PI);
  });

  // ---------------------------------------------------------------- the whole run

  const shared = new Map(); // kernels of runs, which follow one another in the same memory

  function runKernels(size, wasm) {
    const name = compiled && wasm !== false ? "wasm" : "plain";
    if (!shared.has(name)) shared.set(name, makeKernels(0, wasm));
    const kernels = shared.get(name);
    kernels.free();
    kernels.reserve(size);
    return kernels;
  }

  /** Draw, send a batch through and a gradient back, measure, compare, judge. */
  function run(given, options = {}) {
    const { state } = validate(given);
    const { width: n, batch, depth } = state;
    const kernels = runKernels(depth * n * (n + 8) + (6 + 2 * depth) * n * batch + 64 * depth, options.wasm);
    const x = new Float64Array(n * batch), direction = new Float64Array(n * batch);
    kernels.start(state.seed, INPUTS);
    fill(x, options.inputs, n, batch, () => state.scale * normal(kernels.state));
    kernels.start(state.seed, DIRECTION);
    fill(direction, options.direction, n, batch, () => normal(kernels.state));
    const length = sqrt(meanSquare(direction));
    for (let q = 0; q < direction.length; q++) direction[q] /= length;

    const layers = forward(state, (l) => new Kernel(kernels, state, l, options.weights?.[l]), x, kernels);
    const reached = layers.length === depth && layers[depth - 1].top < Infinity;
    const back = reached ? backward(state, layers, direction, kernels)
      : { logs: new Array(depth).fill(NaN), overflow: null };
    const beyond = layers.findIndex(({ top }) => !(top <= LARGEST));
    const column = (name, missing) => Array.from({ length: depth }, (_, l) => layers[l]?.[name] ?? missing);
    const result = {
      state, inputs: options.inputs ? meanSquare(x) : state.scale ** 2, q: column("q", Infinity), gradient: back.logs.map((log10) => 10 ** log10),
      logs: { q: column("log", Infinity), gradient: back.logs },
      varying: column("varying", NaN), dead: column("dead", NaN), saturated: column("saturated", NaN),
      distinct: column("distinct", NaN), histograms: column("histogram", null),
      theory: theoryOf(state),
      notFinite: beyond >= 0 ? beyond + 1 : back.overflow === null ? null : back.overflow + 1,
      kernels: kernels.name, given: Boolean(options.weights),
    };
    return Object.assign(result, judge(result));
  }

  /** So many numbers of a seed's stream: normal ones, or uniform ones of std 1. */
  function draw(size, { seed = 0, stream = WEIGHTS, kind = "normal", wasm } = {}) {
    const kernels = runKernels(size + 8, wasm), out = kernels.raw(size);
    kernels.start(seed, stream);
    kernels.numbers(out, kind === "uniform" ? UNIFORM : NORMAL);
    return Float32Array.from(out);
  }

  /** Fill an array of units by examples from one of examples by units, or by draws. */
  function fill(out, given, n, batch, draw) {
    for (let i = 0; i < n; i++) {
      for (let b = 0; b < batch; b++) out[i * batch + b] = given ? given[b * n + i] : draw();
    }
  }

  // ---------------------------------------------------------------- training

  const POINTS = 128, CLASSES = 2;

  /** Points in the plane of two classes, of mean 0 and std 1 in each direction: x[2][128], y[128]. */
  function makeData(task, seed) {
    const s = new Int32Array(4), x = new Float32Array(2 * POINTS), y = new Uint8Array(POINTS);
    start(s, seed, DATA);
    for (let p = 0; p < POINTS; p++) {
      const label = (y[p] = p % 2), t = uniform(s), noise = () => 0.08 * normal(s);
      let u = 0, v = 0;
      if (task === "spiral") {
        const radius = 0.15 + 0.95 * sqrt(t), angle = 1.5 * PI * 1.6 * sqrt(t) + label * PI;
        [u, v] = [radius * Math.cos(angle) + noise() / 2, radius * Math.sin(angle) + noise() / 2];
      } else if (task === "circles") {
        const radius = label ? 0.45 : 1;
        [u, v] = [radius * Math.cos(2 * PI * t) + noise(), radius * Math.sin(2 * PI * t) + noise()];
      } else {
        const side = label ? -1 : 1;
        [u, v] = [side * Math.cos(PI * t) + (label ? 1 : 0) + noise(), side * Math.sin(PI * t) + (label ? 0.5 : 0) + noise()];
      }
      x[p] = u;
      x[POINTS + p] = v;
    }
    for (const row of [x.subarray(0, POINTS), x.subarray(POINTS)]) {
      const mean = row.reduce((a, b) => a + b, 0) / POINTS;
      for (let p = 0; p < POINTS; p++) row[p] -= mean;
      const std = sqrt(meanSquare(row));
      for (let p = 0; p < POINTS; p++) row[p] /= std;
    }
    return { x, y };
  }

  const pad = (rows) => Math.ceil(rows / 4) * 4;

  /** Two inputs, `depth` kernels, two classes; biases start at 0 and are trained; all points at once.
   * A residual path leads to the end, as in `forward`: the last layer adds to the first two units. */
  class Trainer {
    constructor(given, { task, optimizer, rate, dataSeed, weights, wasm } = {}) {
      const { state } = validate(given), { width, depth, scale } = state, number = numberOf(rate);
      this.state = state;
      this.task = TASKS.includes(task) ? task : TASKS[0];
      this.optimizer = OPTIMIZERS.includes(optimizer) ? optimizer : OPTIMIZERS[0];
      this.rate = number > 0 && number <= 1e6 ? number : 0.1;
      this.data = makeData(this.task, nearest(dataSeed, RANGES.seed) ?? 0);
      this.steps = 0;
      this.stopped = null; // "loss", "gradient" or "parameters": what was not finite
      const room = (depth + 3) * 2 * (width + 4) ** 2 + (6 * depth + 4) * (width + 8) * POINTS;
      this.kernels = makeKernels(room, wasm);
      this.layers = Array.from({ length: depth }, (_, l) => {
        const ins = l === 0 ? 2 : width, outs = l === depth - 1 ? CLASSES : width;
        const layer = { ...this.buffers(ins, outs), skip: state.residual !== "none" && l > 0 };
        layer.W = this.matrix(outs, ins);
        layer.dW = this.matrix(outs, ins);
        layer.b = new Float32Array(outs);
        layer.db = new Float32Array(outs);
        layer.turned = this.matrix(POINTS, ins); // what the kernel reads, example by example
        layer.delta = this.matrix(outs, POINTS);
        layer.branch = layer.skip ? branchScale(state) : 1;
        if (weights) layer.W.set(weights[l]);
        else drawInto(layer, state, l, this.kernels);
        layer.parameters = [[layer.W, layer.dW], [layer.b, layer.db]].map(([values, gradient]) => ({
          values, gradient, mean: new Float32Array(values.length), square: new Float32Array(values.length),
        }));
        return layer;
      });
      this.ratio = new Array(depth).fill(NaN);
      this.back = this.matrix(width, POINTS);
      this.layers[0].a.set(this.data.x.map((x) => scale * x));
      this.evaluate();
    }

    /** A matrix whose rows are filled up with zeros to a multiple of four. */
    matrix(rows, columns) { return this.kernels.array(pad(rows) * columns); }

    buffers(ins, outs) {
      return { ins, outs, a: this.matrix(ins, POINTS), z: this.matrix(outs, POINTS), slopes: new Float32Array(ins * POINTS) };
    }

    /** Send POINTS examples, which stand in the first buffer's `a`, through all layers. */
    pass(buffers) {
      const { state, layers, kernels } = this, phi = FUNCTIONS[state.activation];
      layers.forEach(({ W, b, ins, outs, skip, branch }, l) => {
        const own = buffers[l], below = l ? buffers[l - 1].z : null;
        if (below) {
          own.normed = state.norm === "layer" ? normalize(below, ins, POINTS) : null;
          activate(phi, own.normed ? own.normed.values : below, 1, own.a, 1, own.slopes, POINTS, 0);
        }
        kernels.product(W, ins, 1, own.a, own.z, pad(outs), ins, POINTS);
        for (let i = 0, q = 0; i < outs; i++) {
          for (let p = 0; p < POINTS; p++, q++) own.z[q] = branch * (own.z[q] + b[i]) + (skip ? below[q] : 0);
        }
      });
      return buffers[layers.length - 1].z;
    }

    /** Loss and accuracy, and the gradient at the outputs. */
    evaluate() {
      const z = this.pass(this.layers), { y } = this.data, { delta } = this.layers[this.layers.length - 1];
      let loss = 0, right = 0;
      for (let p = 0; p < POINTS; p++) {
        const gap = z[POINTS + p] - z[p], own = y[p] ? gap : -gap; // of the right logit over the other
        loss += softplus(-own);
        right += own > 0 ? 1 : own === 0 ? 0.5 : 0;
        delta[POINTS + p] = (sigmoid(gap) - y[p]) / POINTS;
        delta[p] = -delta[POINTS + p];
      }
      this.loss = loss / POINTS;
      this.accuracy = right / POINTS;
    }

    /** The gradient of every weight and bias. */
    differentiate() {
      const { layers, kernels, back } = this;
      for (let l = layers.length - 1; ; l--) {
        const { W, dW, db, ins, outs, a, z, delta, turned, slopes, normed, skip, branch } = layers[l];
        for (let k = 0; k < ins; k++) for (let p = 0; p < POINTS; p++) turned[p * ins + k] = branch * a[k * POINTS + p];
        if (ins % 8 === 0) kernels.product(delta, POINTS, 1, turned, dW, pad(outs), POINTS, ins);
        else PlainKernels.prototype.product(delta, POINTS, 1, turned, dW, pad(outs), POINTS, ins);
        for (let i = 0; i < outs; i++) db[i] = branch * sumOf(delta.subarray(i * POINTS, (i + 1) * POINTS));
        if (l === 0) return;
        kernels.product(W, 1, ins, delta, back, ins, outs, POINTS);
        const below = layers[l - 1].delta;
        for (let q = 0; q < slopes.length; q++) below[q] = branch * back[q] * slopes[q];
        if (normed) normalizeBack(below, normed, ins, POINTS);
        if (skip) for (let q = 0; q < outs * POINTS; q++) below[q] += delta[q];
      }
    }

    /** Take n steps; the loss before each. */
    step(n = 1) {
      const losses = [];
      for (let i = 0; i < n && !this.stopped; i++) {
        losses.push(this.loss);
        if (Number.isFinite(this.loss)) this.move();
        else this.stopped = "loss";
      }
      return losses;
    }

    move() {
      this.differentiate();
      const parameters = this.layers.flatMap((layer) => layer.parameters);
      if (!parameters.every(({ gradient }) => largest(gradient) < Infinity)) {
        this.stopped = "gradient";
        return;
      }
      this.steps++;
      this.ratio = this.layers.map((layer) => {
        const size = meanSquare(layer.W) * layer.W.length;
        const [moved] = layer.parameters.map((own) => this.update(own));
        return sqrt(moved / size);
      });
      if (parameters.every(({ values }) => largest(values) < Infinity)) this.evaluate();
      else this.stopped = "parameters";
    }

    /** Move parameters by SGD or Adam; the sum of the squares of what was added. */
    update({ values, gradient, mean, square }) {
      const { rate } = this, first = 1 - 0.9 ** this.steps, second = 1 - 0.999 ** this.steps;
      const adam = this.optimizer === "adam";
      let moved = 0;
      for (let q = 0; q < values.length; q++) {
        let step = -rate * gradient[q];
        if (adam) {
          mean[q] = 0.9 * mean[q] + 0.1 * gradient[q];
          square[q] = 0.999 * square[q] + 0.001 * gradient[q] * gradient[q];
          step = -rate * (mean[q] / first) / (sqrt(square[q] / second) + 1e-8);
        }
        values[q] += step;
        moved += step * step;
      }
      return moved;
    }

    /** The probability of class 1 on a grid over [-extent, extent]², the top row first. */
    surface(grid = 48, extent = 1.1 * largest(this.data.x)) {
      const size = nearest(grid, [2, 256, 1]) ?? 48, values = new Float32Array(size * size), { scale } = this.state;
      const place = (i) => scale * extent * (2 * i / (size - 1) - 1);
      this.grid ??= this.layers.map(({ ins, outs }) => this.buffers(ins, outs));
      for (let from = 0; from < values.length; from += POINTS) {
        for (let p = 0; p < POINTS; p++) {
          this.grid[0].a[p] = place((from + p) % size);
          this.grid[0].a[POINTS + p] = -place(Math.floor((from + p) / size));
        }
        const z = this.pass(this.grid);
        for (let p = 0; p < POINTS && from + p < values.length; p++) values[from + p] = sigmoid(z[POINTS + p] - z[p]);
      }
      return { size, extent, values };
    }
  }

  const sumOf = (values) => {
    let sum = 0;
    for (let q = 0; q < values.length; q++) sum += values[q];
    return sum;
  };

  /** Draw a layer's weights by the state's scheme, for its own fans. */
  function drawInto({ W, ins, outs, skip }, state, l, kernels) {
    const { scheme, seed, width: n } = state, scale = stdOf(state, ins, outs, l === 0);
    const values = W.subarray(0, ins * outs);
    if (!scale || (state.residual === "zero" && skip)) return;
    kernels.start(seed, WEIGHTS + l);
    if (scheme.startsWith("orthogonal")) { // the first rows and columns of a square one
      const own = runKernels(3 * n * n + n * 32, kernels.name === "WebAssembly");
      const whole = new Kernel(own, { ...state, residual: "none" }, l), identity = own.array(n * n), out = own.raw(n * n);
      for (let i = 0; i < n; i++) identity[i * n + i] = 1;
      whole.apply(identity, out, n);
      for (let i = 0; i < outs; i++) for (let k = 0; k < ins; k++) values[i * ins + k] = out[i * n + k];
    } else if (scheme === "constant") values.fill(1);
    else kernels.numbers(values, scheme.endsWith("uniform") ? UNIFORM : NORMAL);
    for (let q = 0; q < values.length; q++) values[q] *= scale;
  }

  return {
    SCHEMES, ACTIVATIONS, RESIDUALS, NORMS, TASKS, OPTIMIZERS, DEFAULTS, RANGES,
    BOUNDS: { BOUND, STEEP, STEEP_NORMALIZED, HANIN, SPREADS, COLLAPSED, LOW, HIGH, SATURATED, MOSTLY, ALIKE, FLAT, DEAD },
    FLOOR, validate, load, run, draw, format, varies, moments, depthGain, theory: theoryOf,
    trainer: (state, options) => new Trainer(state, options),
    /** The std of the numbers in a kernel after the first. */
    stdOf: (state) => stdOf(state, state.width, state.width, false) / (state.scheme.startsWith("orthogonal") ? sqrt(state.width) : 1),
  };
})();

if (typeof KERNELS === "string") Engine.load(KERNELS); // base64, written before this file
if (typeof module === "object" && module.exports) module.exports = Engine;
