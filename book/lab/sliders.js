// The small sliders on the cover and in the chapters. Each has a still picture, which stays where it is
// until the slider comes near; then the lab's engine is loaded, and the picture moves.
"use strict";

(() => {
  const home = document.documentElement.dataset.content_root;
  const WIDTH = 256;
  const he = Math.sqrt(2 / WIDTH);
  const three = (value) => Number(value.toPrecision(3));

  // Each: its sliders, and the networks that they stand for. A network: [state, name, ink].
  const KINDS = {
    std: {
      start: { factor: 1 },
      sliders: () => [
        ["factor", "Std of the weights, in units of He's", lab.log(0.5, 2, 60), (value) => [`× ${value}`, `${value} times He's`]],
      ],
      networks: ({ factor }) => [[{ scheme: "normal", std: three(factor * he), depth: 50, width: WIDTH }, "signal, E z²", "signal"]],
    },
    gain: {
      start: { gain: 1, depth: 30 },
      sliders: () => [
        ["gain", "Gain", { at: (i) => three(0.5 + 0.05 * i), of: (v) => (v - 0.5) / 0.05, last: 50 }],
        ["depth", "Depth", lab.whole(2, 100), (value) => [String(value), `${value} layers`]],
      ],
      networks: ({ gain, depth }) => [[{ scheme: "normal", activation: "tanh", std: three(gain / Math.sqrt(WIDTH)), depth, width: WIDTH }, "signal, E z²", "signal"]],
      gradient: true,
    },
    residual: {
      start: { depth: 30 },
      sliders: () => [["depth", "Depth", lab.whole(2, 100), (value) => [String(value), `${value} layers`]]],
      networks: ({ depth }) => [
        [{ depth, width: WIDTH, residual: "plain" }, "plain sums", "summed"],
        [{ depth, width: WIDTH, residual: "scaled" }, "branches over √L", "scaled"],
      ],
    },
  };

  // Scripts one after the other, once for the page.
  let loading;
  const load = () => loading ??= ["core.js", "common.js"].reduce((before, name) => before.then(() => new Promise((resolve, reject) => {
    const src = `${home}_static/lab/${name}`;
    document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve, onerror: reject }));
  })), Promise.resolve());

  let ask;

  function build(box) {
    try { ask ??= lab.startWorker(); } catch { return; } // no worker, as where no script runs: the still stays
    const { el, number } = lab, kind = KINDS[box.dataset.slider];
    const values = { ...kind.start };
    const picture = lab.svg(), keys = el("p", { class: "lab-keys" });
    const sentence = el("p", { class: "lab-said" }), spoken = el("p", { class: "hidden", role: "status" });
    const link = el("a", {}, "Open this network in the lab");
    const whole = el("div", { class: "lab-live" });
    let results = null, names = [], speaking;

    // All networks of a setting, in turn: one answer.
    const runner = new lab.Runner(
      async (question, { state }) => {
        const found = [];
        for (const [network] of state) found.push(await ask(question, { state: network }));
        return found;
      },
      (state, found, error, last) => {
        if (error) return;
        [results, names] = [found, state];
        box.classList.add("lab-moves");
        draw();
        if (!last) return;
        clearTimeout(speaking);
        speaking = setTimeout(() => { spoken.textContent = sentence.textContent; }, 600);
      });

    function draw() {
      if (!results || !whole.clientWidth) return;
      const series = results.map(({ logs }, i) => ({ logs: logs.q, ink: names[i][2], name: names[i][1] }));
      if (kind.gradient) series.push({ logs: results[0].logs.gradient, ink: "gradient", name: "gradient, E δ²" });
      const { theory } = results[0];
      const dashed = results.length > 1 ? [] : [theory.logs?.q, kind.gradient && theory.logs?.gradient].filter(Boolean)
        .map((logs) => ({ logs, dashed: true }));
      keys.replaceChildren(...series.map(({ name, ink }) => el("span", { class: `lab-key ${ink}` }, name)),
        ...(dashed.length ? [el("span", { class: "lab-key theory" }, "theory")] : []));
      sentence.replaceChildren(...results.map(({ sentence: text }, i) =>
        el("span", { class: "lab-line" }, results.length > 1 ? `${names[i][1]}: ${text} ` : text)));
      picture.setAttribute("aria-label", `Second moments by layer. ${series.map(({ logs, name }) =>
        `${name}: from ${number(1, logs[0])} to ${number(1, logs.at(-1))}`).join("; ")}`);
      lab.lines(picture, { xlabel: "layer", least: 6, height: 230, series: [...series, ...dashed] });
      link.href = `${home}book/lab.html${lab.address(names[0][0], Engine.DEFAULTS)}`;
    }

    const sliders = kind.sliders().map(([key, label, scale, say = String]) => {
      const set = (fresh) => (value) => {
        values[key] = value;
        slider.set(value);
        runner.run(kind.networks(values), { fresh });
      };
      const slider = lab.slider({ id: `slider-${box.dataset.slider}-${key}`, label, scale, say, oninput: set(false), onchange: set(true) });
      slider.set(values[key]);
      return slider.box;
    });
    whole.append(el("div", { class: "lab-controls lab-row" }, ...sliders), keys, el("div", {}, picture), sentence, spoken, el("p", {}, link));
    box.append(whole);
    lab.whenWide(picture.parentElement, draw);
    runner.run(kind.networks(values));
  }

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      load().then(() => build(target));
    }
  }, { rootMargin: "300px" });
  for (const box of document.querySelectorAll(".lab-slider")) if (KINDS[box.dataset.slider]) near.observe(box);
})();
