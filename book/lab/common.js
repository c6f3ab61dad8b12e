// What the lab and the small sliders share: the worker, the spelling of numbers, and the pictures.
"use strict";

const lab = (() => {
  // --- The worker ---------------------------------------------------------------------------------

  // A worker from a Blob, which works from a disk too. `ask("run", {state})` promises its answer.
  function startWorker() {
    const source = `${labCore.kernels}\nconst Engine = (${labCore.engine})();\n(${labCore.worker})();`;
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(address), waiting = new Map();
    let last = 0;
    worker.onmessage = ({ data: { id, result, error } }) => {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) resolve(result); else reject(new Error(error));
    };
    return (call, rest) => new Promise((resolve, reject) => {
      waiting.set(last += 1, { resolve, reject });
      worker.postMessage({ id: last, call, ...rest });
    });
  }

  // Runs one state at a time. Of those that come meanwhile only the newest waits: the others are
  // stale and never run. While a slider is dragged the answers are shown as they come; a `fresh`
  // state makes those of all before it stale.
  class Runner {
    constructor(ask, show) {
      Object.assign(this, { ask, show, next: null, busy: false, since: 0, ran: 0 });
    }

    run(state, { fresh = true } = {}) {
      if (fresh) this.since += 1;
      this.next = { state, since: this.since };
      if (!this.busy) this.work();
    }

    async work() {
      this.busy = true;
      while (this.next) {
        const { state, since } = this.next;
        this.next = null;
        let result = null, error = null;
        try { result = await this.ask("run", { state }); } catch (thrown) { error = thrown; }
        this.ran += 1;
        if (since === this.since) this.show(state, result, error, this.next === null);
      }
      this.busy = false;
    }
  }

  // --- Numbers and text ---------------------------------------------------------------------------

  const number = (value, log) => Engine.format(value, log); // what was measured
  const plain = (value) => String(value).replace("e+", "e"); // what was set
  const escape = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

  // Settings as an address: only what differs from where the lab begins.
  function address(settings, defaults) {
    const parts = Object.keys(settings).filter((key) => settings[key] !== defaults[key])
      .map((key) => `${key}=${encodeURIComponent(settings[key])}`);
    return parts.length ? `#${parts.join("&")}` : "";
  }

  // An element with attributes and children: `el("p", {class: "note"}, "text")`.
  function el(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== null) element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  // --- Pictures -----------------------------------------------------------------------------------
  // They are drawn at the size at which they are seen, so that type and lines keep theirs.

  const PAD = { left: 46, right: 14, top: 10, bottom: 34 };
  const STEPS = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500];
  const power = (k) => (Math.abs(k) > 2 ? `1e${k}` : String(Number((10 ** k).toPrecision(1))));

  // The powers of ten between which a log axis lies, at least `least` of them, and none above `top`;
  // where there is a zero (its logarithm is -Infinity), a row for it below.
  function decades(logs, least, top) {
    const finite = logs.filter(Number.isFinite), zero = logs.includes(-Infinity);
    let low = finite.length ? Math.floor(Math.min(...finite) - 0.05) : 0;
    let high = finite.length ? Math.ceil(Math.max(...finite) + 0.05) : 0;
    high = Math.min(high, top);
    for (let i = 0; high - low < least; i += 1) if (i % 2 && high < top) high += 1; else low -= 1;
    const step = STEPS.find((s) => (high - low) / s <= 6) ?? 1000;
    low = Math.floor(low / step) * step;
    high = Math.ceil(high / step) * step;
    return { low: zero ? low - step : low, high, step, zero };
  }

  // Where the axis of layers or steps has its numbers: the first, and round ones.
  function ticks(first, last) {
    const step = STEPS.find((s) => (last - first) / s <= 6) ?? 1000, found = [first];
    for (let at = Math.ceil((first + 1) / step) * step; at <= last; at += step) {
      if (at - first > step / 3) found.push(at);
    }
    return found;
  }

  // Lines over layers or steps on a log axis. A line: {logs, ink}, or {logs, dashed: true} for what
  // theory says, which lies on top. `bounds` are levels with a name, `at` a place on the other axis
  // with one. `every`: one value stands for so many steps.
  function lines(svg, { series, xlabel, least = 4, top = Infinity, bounds = [], at = null, height = 250, first = 1, every = 1, note }) {
    const width = Math.max(svg.parentElement.clientWidth, 200);
    const { low, high, step, zero } = decades([...series.flatMap((s) => s.logs), ...bounds.map((b) => b.log)], least, top);
    const count = Math.max(...series.map((s) => s.logs.length), 2);
    const right = width - PAD.right, bottom = height - PAD.bottom, middle = (PAD.left + right) / 2;
    const x = (i) => PAD.left + (right - PAD.left) * i / (count - 1);
    const y = (log) => (log === -Infinity ? bottom : bottom - (bottom - PAD.top) * (log - low) / (high - low));
    const text = (px, py, anchor, words, kind = "") =>
      `<text${kind && ` class="${kind}"`} x="${px.toFixed(1)}" y="${py.toFixed(1)}" text-anchor="${anchor}">${escape(words)}</text>`;
    const drawn = [];
    for (let k = low; k <= high; k += step) {
      drawn.push(`<path class="grid" d="M${PAD.left} ${y(k).toFixed(1)}H${right}"/>`,
        text(PAD.left - 6, y(k) + 4, "end", zero && k === low ? "0" : power(k)));
    }
    for (const tick of ticks(first, (count - 1) * every + first)) {
      drawn.push(text(x((tick - first) / every), bottom + 16, "middle", tick));
    }
    drawn.push(text(middle, height - 3, "middle", xlabel));
    for (const { log, name } of bounds) {
      drawn.push(`<path class="bound" d="M${PAD.left} ${y(log).toFixed(1)}H${right}"/>`, text(right, y(log) - 5, "end", name, "halo"));
    }
    if (at) {
      const px = x(at.index), late = at.index > count / 2;
      drawn.push(`<path class="bound" d="M${px.toFixed(1)} ${PAD.top}V${bottom}"/>`,
        text(px + (late ? -6 : 6), PAD.top + 12, late ? "end" : "start", at.name, "halo"));
    }
    if (note) drawn.push(text(middle, (PAD.top + bottom) / 2, "middle", note));
    for (const { logs, ink, dashed } of series) drawn.push(trace(logs, ink, dashed, x, y));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.innerHTML = drawn.join("");
  }

  // One line, with a cross where its numbers end: the signal's at the right, the gradient's left.
  function trace(logs, ink, dashed, x, y) {
    const drawable = (log) => log < Infinity; // nor NaN
    const from = logs.findIndex(drawable), to = logs.findLastIndex(drawable);
    if (from < 0) return "";
    let path = "", pen = "M";
    logs.forEach((log, i) => {
      if (drawable(log)) path += `${pen}${x(i).toFixed(1)} ${y(log).toFixed(1)}`;
      pen = drawable(log) ? "L" : "M";
    });
    if (from === to) path += "h.1"; // one point is a dot
    let drawn = `<path class="${dashed ? "theory" : `line ${ink}`}${from === to ? " dot" : ""}" d="${path}"/>`;
    const end = to < logs.length - 1 ? to : from;
    if (!dashed && to - from + 1 < logs.length) {
      drawn += `<path class="line ${ink}" d="M${x(end) - 5} ${y(logs[end]) - 5}l10 10m0 -10l-10 10"/>`;
    }
    return drawn;
  }

  // One histogram: {low, high, counts}, with 0 in the middle.
  function histogram(svg, { low, high, counts }, ink, height = 120) {
    const width = Math.max(svg.parentElement.clientWidth, 80), bottom = height - 20, side = 4;
    const most = Math.max(...counts, 1), bar = (width - 2 * side) / counts.length;
    let path = `M${side} ${bottom}`;
    for (const count of counts) path += `V${(bottom - (bottom - 6) * count / most).toFixed(1)}h${bar.toFixed(3)}`;
    const text = (at, anchor, words) => `<text x="${at}" y="${height - 5}" text-anchor="${anchor}">${escape(words)}</text>`;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.innerHTML = `<path class="area ${ink}" d="${path}V${bottom}Z"/>
      <path class="ground" d="M${side} ${bottom}H${width - side}"/>`
      + text(width / 2, "middle", number((low + high) / 2)) + text(width - side, "end", number(high));
  }

  const svg = (label = "Not drawn yet") => {
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", label);
    return picture;
  };

  // Calls `draw` when the element gets another width, and not before it has one.
  function whenWide(element, draw) {
    let width = 0;
    new ResizeObserver(() => {
      if (element.clientWidth && element.clientWidth !== width) { width = element.clientWidth; draw(); }
    }).observe(element);
  }

  // A slider of the book: name and value above, the value spoken, and what it stands for free.
  // `scale`: {at: position → value, of: value → position, last: position}. A value that was set between
  // two positions stays what the nearest one stands for, until another such value is set.
  function slider({ id, label, scale, say, oninput, onchange }) {
    let between = null;
    const read = () => (input.value === between?.at ? between.value : scale.at(Number(input.value)));
    const input = el("input", { type: "range", id, min: 0, max: scale.last, step: 1,
      oninput: () => oninput(read()), onchange: () => onchange(read()) });
    const output = el("output", { for: id });
    const box = el("div", { class: "lab-control" },
      el("label", { for: id }, label), output, input);
    const set = (value) => {
      const at = String(Math.min(scale.last, Math.max(0, Math.round(scale.of(value)))));
      if (input.value !== at) input.value = at;
      const inside = value >= scale.at(0) && value <= scale.at(scale.last);
      if (at === between?.at || (inside && scale.at(Number(at)) !== value)) between = { at, value };
      const [shown, spoken] = [say(value)].flat();
      output.textContent = shown;
      input.setAttribute("aria-valuetext", spoken ?? shown);
    };
    return { box, input, set };
  }

  // Positions of a slider: all whole numbers, or about so many to a factor of ten, with both ends.
  const whole = (low, high) => ({ at: (i) => low + i, of: (v) => v - low, last: high - low });
  const log = (low, high, steps) => {
    const range = Math.log10(high / low), last = Math.round(steps * range);
    return {
      at: (i) => Number((low * 10 ** (range * i / last)).toPrecision(3)),
      of: (v) => last * Math.log10(v / low) / range,
      last,
    };
  };
  const list = (values) => ({
    at: (i) => values[i],
    of: (v) => values.reduce((best, value, i) => (Math.abs(value - v) < Math.abs(values[best] - v) ? i : best), 0),
    last: values.length - 1,
  });

  return { startWorker, Runner, number, plain, address, el, svg, lines, histogram, whenWide, slider, whole, log, list };
})();
