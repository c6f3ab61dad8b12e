// The lab's page: controls, pictures, the training of two starts, and the address that holds it all.
// What is computed stands in `engine.js`, and how it is drawn in `common.js`.
"use strict";

(() => {
  const { number, plain, el } = lab;

  // --- Settings -------------------------------------------------------------------------------------

  // What the page knows beyond the network: the layer of the middle histogram (0: the middle one),
  // the task, and the start that is trained against the network's own.
  const MORE = { layer: 0, task: "spiral", optimizer: "sgd", rate: 0.03, versus: "glorot_normal", versus_std: 0.01 };
  const DEFAULTS = { ...Engine.DEFAULTS, ...MORE };
  const OWN_STD = ["normal", "constant"]; // the schemes whose std is the slider's
  const RESIDUALS = { none: "none", plain: "plain: z + f(z)", scaled: "scaled: z + f(z)/√L", zero: "zero branch: z + 0" };
  const NORMS = { none: "none", layer: "layer norm" };
  const NAMES = { spiral: "two spirals", circles: "two circles", moons: "two moons", sgd: "SGD", adam: "Adam" };
  const MOST_STEPS = 2000;

  const PRESETS = {
    Kept: {},
    Vanishing: { scheme: "glorot_normal" },
    Exploding: { scheme: "normal", std: 0.25 },
    Dead: { scheme: "zeros" },
    Symmetric: { scheme: "constant", std: 0.1 },
    Collapsed: { activation: "sigmoid", scheme: "glorot_normal" },
    Saturated: { activation: "tanh", scheme: "normal", std: 1 },
    Overflow: { scheme: "normal", std: 10, depth: 50 },
    "GPT-like": { activation: "gelu", scheme: "normal", std: 0.02, depth: 24, width: 256, residual: "plain", norm: "layer" },
  };

  const complete = (settings) => ({ ...DEFAULTS, ...settings });
  const network = (settings) => Object.fromEntries(Object.keys(Engine.DEFAULTS).map((key) => [key, settings[key]]));
  const usesStd = (scheme) => OWN_STD.includes(scheme);

  // What each may be: a list of words, or [smallest, largest, what it is a multiple of, if anything].
  const CHOICES = { scheme: Engine.SCHEMES, activation: Engine.ACTIVATIONS, residual: Engine.RESIDUALS, norm: Engine.NORMS,
    task: Engine.TASKS, optimizer: Engine.OPTIMIZERS, versus: Engine.SCHEMES };
  const RANGES = { ...Engine.RANGES, layer: [0, 100, 1], rate: [1e-4, 1, 0], versus_std: Engine.RANGES.std };

  const shown = (asked) => (asked.length > 30 ? `${asked.slice(0, 29)}…` : asked);

  // A setting as it may be, and where it was not a sentence that says so.
  function checked(key, asked, range = RANGES[key]) {
    const used = (value, wrong) => [value, `${key}=${shown(asked)} ${wrong}: ${plain(value)} is used`];
    if (key in CHOICES) {
      return CHOICES[key].includes(asked) ? [asked] : used(DEFAULTS[key], `is none of ${CHOICES[key].join(", ")}`);
    }
    const [low, high, step] = range, value = /^[-+.\de]+$/i.test(asked) ? Number(asked) : NaN;
    if (Number.isNaN(value)) return used(DEFAULTS[key], "is no number");
    if (value < low) return used(low, `is below ${plain(low)}`);
    if (value > high) return used(high, `is above ${plain(high)}`);
    const nearest = step ? Math.round(value / step) * step : value;
    return nearest === value ? [value] : used(nearest, step === 1 ? "is no whole number" : `is no multiple of ${step}`);
  }

  // These come last: what others ask for decides whether they count, and their range.
  const DRAWN = { std: "scheme", versus_std: "versus" }, LATE = [...Object.keys(DRAWN), "layer"];

  // The settings that an address asks for, each valid, and what had to be changed.
  function read(hash) {
    const settings = { ...DEFAULTS }, messages = [], seen = new Set();
    // A key without a name asks for nothing.
    const given = [...new URLSearchParams(hash.slice(1))].filter(([key]) => key), late = ([key]) => LATE.includes(key);
    for (const [key, asked] of [...given.filter((one) => !late(one)), ...given.filter(late)]) {
      const scheme = settings[DRAWN[key]];
      let message;
      if (!Object.hasOwn(DEFAULTS, key)) message = `${key.slice(0, 30)} is no setting: it is left out`;
      else if (scheme && !usesStd(scheme)) message = `${key}=${shown(asked.trim())} is not what ${scheme} draws with: it is left out`;
      else if (seen.has(key)) message = `${key} is asked for twice: ${plain(settings[key])} is used`;
      else [settings[key], message] = checked(key, asked.trim(), key === "layer" ? [0, settings.depth, 1] : undefined);
      seen.add(key);
      if (message) messages.push(message);
    }
    return { settings, messages };
  }

  // The address of settings, without the std where the scheme has its own.
  function written(settings) {
    const { std, versus_std, ...others } = settings;
    return lab.address({ ...others, ...(usesStd(others.scheme) && { std }), ...(usesStd(others.versus) && { versus_std }) }, DEFAULTS);
  }

  // --- The page: what is settled now, and what changes it -------------------------------------------

  // Where no worker starts, the stills stay, and say why.
  const ask = (() => {
    try { return lab.startWorker(); } catch (error) {
      for (const why of document.querySelectorAll(".lab-still p:last-child")) {
        why.textContent = `The lab computes in a worker, and this browser starts none (${error.message}).`;
      }
      return null;
    }
  })();
  if (!ask) return;
  let settings = complete({}), result = null, changedBy = null, writing;
  const runner = new lab.Runner(ask, show);

  const isAnchor = (hash) => !hash.includes("=") && document.getElementById(hash.slice(1));

  // Settings after a question mark are meant as those after a number sign, and move there. So does what is
  // nearly one, such as DEPTH or act, and is refused there; other words may be for others than the lab.
  const meant = (key) => Object.keys(DEFAULTS).some((name) => name === key || (key.length > 2 && name.startsWith(key.toLowerCase())));

  function move() {
    const others = new URLSearchParams(location.search), own = [...others].filter(([key]) => meant(key));
    if (!own.length) return;
    for (const [key] of own) others.delete(key);
    const hash = [location.hash.includes("=") ? location.hash.slice(1) : "", String(new URLSearchParams(own))].filter(Boolean).join("&");
    history.replaceState(null, "", `${location.pathname}${String(others) && `?${others}`}#${hash}`);
  }

  // A link to a section of the page leads there, and the address goes on holding the network. Only where the
  // page was opened at a section does that stand in the address, of the network that the lab begins with.
  function arrive() {
    const section = isAnchor(location.hash), opened = "at a section";
    if (section && result && history.state !== opened) { store(true); return; }
    const found = section ? { settings: complete({}), messages: [] } : read(location.hash);
    settings = found.settings;
    if (section) history.replaceState(opened, ""); else store(true);
    changedBy = null;
    tell(found.messages);
    settle();
  }

  // Writes the address: a new entry of the history, but one only for what one control does.
  function store(same) {
    clearTimeout(writing);
    const hash = written(settings);
    if (hash === location.hash) return;
    const address = hash || location.pathname + location.search;
    if (same) history.replaceState(null, "", address); else history.pushState(null, "", address);
  }

  // Takes changes. While a slider is dragged they come one after the other, and the address waits.
  function change(by, changes, { dragging = false } = {}) {
    settings = { ...settings, ...changes };
    settings.layer = Math.min(settings.layer, settings.depth);
    tell([]);
    if (dragging) { paint(); runner.run(network(settings), { fresh: false }); return; }
    const same = by === changedBy;
    changedBy = by;
    clearTimeout(writing);
    if (same) writing = setTimeout(() => store(true), 150); else store(false);
    settle();
  }

  function settle() {
    paint();
    root.setAttribute("aria-busy", "true");
    runner.run(network(settings));
    training.settle();
  }

  // --- Controls -------------------------------------------------------------------------------------

  const root = document.getElementById("lab");
  const controls = [];
  const message = el("p", { class: "lab-message", role: "status" });

  function tell(messages) {
    message.replaceChildren(...messages.flatMap((text, i) => (i ? [el("br"), `${text}.`] : [`${text}.`])));
  }

  function select(key, label, choices) {
    const pairs = Array.isArray(choices) ? choices.map((choice) => [choice, NAMES[choice] ?? choice]) : Object.entries(choices);
    const input = el("select", { id: `lab-${key}`, onchange: () => change(key, { [key]: input.value }) },
      ...pairs.map(([value, text]) => el("option", { value }, text)));
    controls.push(() => { input.value = settings[key]; });
    return el("div", { class: "lab-control" }, el("label", { for: `lab-${key}` }, label), input);
  }

  function slider(key, label, scale, say = plain, changes = (value) => ({ [key]: value })) {
    const made = lab.slider({ id: `lab-${key}`, label, scale, say,
      oninput: (value) => change(key, changes(value), { dragging: true }),
      onchange: (value) => change(key, changes(value)) });
    controls.push(() => made.set(settings[key]));
    return made.box;
  }

  // The std is a setting where the scheme is `normal` or `constant`. Elsewhere the slider shows what
  // the scheme draws with, and to move it is to draw `normal` with another std.
  function stdSlider(key, schemeKey, label) {
    const std = () => Engine.stdOf({ ...network(settings), scheme: settings[schemeKey], std: settings[key] });
    const say = (value) => {
      if (usesStd(settings[schemeKey])) return plain(value);
      return [plain(value), `${plain(value)}, drawn by ${settings[schemeKey]}; to move it draws normal`];
    };
    const made = lab.slider({ id: `lab-${key}`, label, scale: lab.log(0.001, 10, 40), say: (value) => say(value),
      oninput: (value) => change(key, own(value), { dragging: true }),
      onchange: (value) => change(key, own(value)) });
    const own = (value) => ({ [key]: value, [schemeKey]: usesStd(settings[schemeKey]) ? settings[schemeKey] : "normal" });
    controls.push(() => {
      made.set(usesStd(settings[schemeKey]) ? settings[key] : Number(std().toPrecision(3)));
    });
    return made.box;
  }

  function seedField() {
    const input = el("input", { id: "lab-seed", type: "text", inputmode: "numeric", autocomplete: "off", onchange: () => {
      const [seed, message] = checked("seed", input.value.trim());
      if (!message) { change("seed", { seed }); return; }
      tell([message.replace(/: \d+ is used$/, `: ${settings.seed} is kept`)]);
      input.value = settings.seed;
    } });
    controls.push(() => { input.value = settings.seed; });
    const again = el("button", { type: "button", onclick: () => change("seed", { seed: (settings.seed + 1) % (RANGES.seed[1] + 1) }) }, "Draw again");
    return el("div", { class: "lab-control lab-seed" }, el("label", { for: "lab-seed" }, "Seed"), input, again);
  }

  function presets() {
    const buttons = Object.entries(PRESETS).map(([name, changes]) => {
      const button = el("button", { type: "button", onclick: () => {
        const { task, optimizer, rate, versus, versus_std } = settings;
        change(`preset ${name}`, { ...DEFAULTS, task, optimizer, rate, versus, versus_std, ...changes });
      } }, name);
      const wanted = JSON.stringify(network(complete(changes)));
      controls.push(() => button.setAttribute("aria-pressed", String(JSON.stringify(network(settings)) === wanted)));
      return button;
    });
    return el("div", { class: "lab-presets", role: "group", "aria-label": "Presets" }, ...buttons);
  }

  function paint() {
    for (const control of controls) control();
    // On paper, what the controls say.
    printed.textContent = Object.keys(Engine.DEFAULTS)
      .filter((key) => key !== "std" || usesStd(settings.scheme))
      .map((key) => `${key} ${plain(settings[key])}`).join(" · ");
  }

  // --- What came out ----------------------------------------------------------------------------------

  const printed = el("p", { class: "lab-printed" });
  const verdict = el("strong", { class: "lab-verdict" }), sentence = el("span", {});
  const spoken = el("p", { class: "hidden", role: "status" }); // the sentence, once the dragging ends
  let speaking;

  function show(state, found, error, last) {
    if (error) { tell([`The network could not be run: ${error.message}`]); return; }
    result = found;
    verdict.textContent = found.verdict[0].toUpperCase() + found.verdict.slice(1);
    verdict.dataset.verdict = found.verdict;
    sentence.textContent = found.sentence;
    for (const figure of figures) figure.draw();
    if (!last) return;
    root.setAttribute("aria-busy", "false");
    clearTimeout(speaking);
    speaking = setTimeout(() => { spoken.textContent = `${verdict.textContent}. ${found.sentence}`; }, 600);
  }

  const figures = [];

  // A picture with its name, its keys and its table. `rows` gives the table's head and rows, `note` stands below.
  function figure(name, keys, pictures, draw, rows, ...note) {
    const legend = el("span", { class: "lab-keys" });
    const box = el("div", { class: "lab-table", tabindex: 0, role: "group", "aria-label": `${name}, as a table` });
    const fold = el("details", { ontoggle: () => { if (fold.open) fill(); } }, el("summary", {}, "As a table"), box, ...note.map((text) => el("p", {}, text)));
    const fill = () => {
      const [head, ...body] = rows();
      box.replaceChildren(el("table", {},
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...body.map(([first, ...cells]) => el("tr", {},
          el("th", { scope: "row" }, first), ...cells.map((cell) => el("td", {}, cell)))))));
    };
    const made = el("figure", { class: "lab-figure" },
      el("figcaption", {}, el("strong", {}, name), legend), pictures, fold);
    const entry = { draw: () => {
      if (!result || !made.clientWidth) return;
      legend.replaceChildren(...keys().map(([text, ink]) => el("span", { class: `lab-key ${ink}` }, text)));
      draw();
      if (fold.open) fill();
    } };
    figures.push(entry);
    lab.whenWide(pictures, entry.draw);
    return made;
  }

  const cell = (value, say = number) => (Number.isFinite(value) ? say(value) : "none");
  const written10 = (log) => (log < Infinity ? number(1, log) : "not finite"); // from its logarithm
  const reach = (logs, say = written10) => (logs.length === 1 ? `${say(logs[0])} at layer 1`
    : `from ${say(logs[0])} at layer 1 to ${say(logs.at(-1))} at layer ${logs.length}`);
  const written0 = (log) => (log < Infinity ? number(1, log) : "undefined"); // of a quotient, which may be by 0

  function signalFigure() {
    const picture = lab.svg();
    const draw = () => {
      const { logs, theory, notFinite } = result;
      picture.setAttribute("aria-label", `Second moments by layer. Signal ${reach(logs.q)}; gradient ${reach(logs.gradient)}`
        + `${hasTheory() ? "; theory dashed" : ""}. The table has the numbers.`);
      lab.lines(picture, { xlabel: "layer", at: notFinite ? { index: notFinite - 1, name: "beyond float32" } : null, series: [
        { logs: logs.q, ink: "signal" }, { logs: logs.gradient, ink: "gradient" },
        ...(hasTheory() ? [theory.logs.q, theory.logs.gradient] : []).map((moments) => ({ logs: moments, dashed: true }))] });
    };
    const hasTheory = () => Boolean(result.theory.logs);
    const keys = () => [["signal, E z²", "signal"], ["gradient, E δ²", "gradient"],
      ...(hasTheory() ? [["theory", "theory"]] : [])];
    const rows = () => {
      const { logs, theory } = result;
      const columns = [["signal", logs.q], ["signal, theory", theory.logs?.q],
        ["gradient", logs.gradient], ["gradient, theory", theory.logs?.gradient]].filter(([, list]) => list);
      return [["layer", ...columns.map(([name]) => name)],
        ...logs.q.map((_, i) => [String(i + 1), ...columns.map(([, list]) => written10(list[i]))])];
    };
    return figure("Signal and gradient", keys, el("div", {}, picture), draw, rows);
  }

  function shareFigure() {
    const picture = lab.svg(), logs = () => result.varying.map(Math.log10);
    const varies = (share) => (Number.isNaN(share) ? "undefined" : Engine.varies(share));
    const levels = [[Math.log10(Engine.BOUNDS.COLLAPSED), "collapsed below this"], [Math.log10(Engine.FLOOR), "rounding below this"]];
    const draw = () => {
      picture.setAttribute("aria-label", `Share of the signal that varies over the inputs, ${reach(result.varying, varies)}. The table has the numbers.`);
      lab.lines(picture, { xlabel: "layer", height: 180, least: 2, top: 0, series: [{ logs: logs(), ink: "share" }],
        note: logs().every(Number.isNaN) ? "undefined: there is no signal" : "",
        bounds: levels.filter(([log]) => Math.min(...logs()) < log + 1).map(([log, name]) => ({ log, name })) });
    };
    // Slopes are those of the activation that follows: after the last layer there is none.
    const slopes = (i) => {
      if (i === result.varying.length - 1) return ["–", "–"];
      return [result.dead, result.saturated].map((list) => cell(result.histograms[i + 1] ? list[i] : NaN));
    };
    const rows = () => [["layer", "varies", "units dead", "slopes flat", "units that differ"],
      ...result.varying.map((value, i) =>
        [String(i + 1), varies(value), ...slopes(i), cell(result.distinct[i], String)])];
    return figure("What varies over the inputs", () => [["share of E z²", "share"]], el("div", {}, picture), draw, rows,
      "No activation follows the last layer, so it has no slopes.");
  }

  const chosen = () => settings.layer || Math.ceil(settings.depth / 2);

  function histogramFigure() {
    const parts = [0, 1, 2].map(() => {
      const picture = lab.svg(), name = el("p", {});
      return { picture, name, box: el("div", {}, name, picture) };
    });
    const layers = () => {
      const depth = result.q.length;
      return [1, Math.min(chosen(), depth), depth];
    };
    const draw = () => layers().forEach((layer, i) => {
      const { picture, name } = parts[i], shape = result.histograms[layer - 1];
      name.textContent = `layer ${layer}, rms ${written10(result.logs.q[layer - 1] / 2)}`;
      picture.setAttribute("aria-label", `Histogram of z in layer ${layer}, root mean square ${written10(result.logs.q[layer - 1] / 2)}`);
      if (shape?.counts?.length) lab.histogram(picture, shape, "hist");
      else picture.innerHTML = "";
    });
    const rows = () => {
      const shapes = layers().map((layer) => result.histograms[layer - 1]);
      const bin = ({ low, high, counts }, i) => {
        const at = (k) => number(low + (high - low) * k / counts.length);
        return `${at(i)} to ${at(i + 1)}: ${counts[i]}`;
      };
      const most = Math.max(...shapes.map((shape) => shape?.counts?.length ?? 0));
      return [["bin", ...layers().map((layer) => `layer ${layer}`)], ...Array.from({ length: most }, (_, i) =>
        [String(i + 1), ...shapes.map((shape) => (i < (shape?.counts?.length ?? 0) ? bin(shape, i) : ""))])];
    };
    const made = lab.slider({ id: "lab-layer", label: "Layer in the middle", scale: lab.whole(1, 100), say: (value) => String(value),
      oninput: (value) => pick(value, true), onchange: (value) => pick(value, false) });
    const pick = (value, dragging) => {
      settings = { ...settings, layer: value };
      paint();
      for (const entry of figures) entry.draw();
      if (!dragging) { const same = changedBy === "layer"; changedBy = "layer"; store(same); }
    };
    controls.push(() => {
      made.input.max = settings.depth - 1; // its first position is layer 1
      made.set(chosen());
    });
    const box = figure("Values of z in three layers", () => [], el("div", { class: "lab-three" }, ...parts.map((part) => part.box)), draw, rows);
    box.querySelector(".lab-three").after(made.box);
    return box;
  }

  // --- Training -----------------------------------------------------------------------------------------

  const training = (() => {
    const place = document.getElementById("lab-train");
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    const MOST_SQUARES = 36, LEAST_SQUARES = 12, PRODUCTS = 7e8;
    let train = null, near = false, waiting = 0, age = 0, running = false, busy = false;
    // Whether the networks are those of what is settled, and the steps that are asked for and not begun.
    let ready = false, asked = 0;
    let data = null, losses = [[], []], seen = [], surfaces = [], taken = 0, called = [];

    // Squares along one side of a surface: fewer where the network is large, through which each sends a point.
    const grid = () => {
      const most = Math.sqrt(PRODUCTS / settings.depth) / settings.width;
      return Math.round(Math.min(MOST_SQUARES, Math.max(LEAST_SQUARES, most)));
    };
    const both = (call, options) => Promise.all([0, 1].map((name) => train(call, { options: { name, ...options } })));

    const starts = () => [network(settings), { ...network(settings), scheme: settings.versus, std: settings.versus_std }];
    // The names of what is settled now; `called` are those of what is trained, which a dragged control leaves.
    const names = () => [[settings.scheme, settings.std], [settings.versus, settings.versus_std]]
      .map(([scheme, std]) => (usesStd(scheme) ? `${scheme} ${plain(std)}` : scheme));

    // What is seen and under way is of another network from now on.
    function leave(steps = 0) {
      age += 1;
      clearTimeout(waiting);
      [waiting, asked] = [0, steps];
      running = ready = false;
      called = names();
      place.setAttribute("aria-busy", "true");
      heard.textContent = "";
      status.textContent = "Drawing new weights";
      for (const { text } of panels) text.textContent = "…";
      for (const picture of place.querySelectorAll("svg")) picture.setAttribute("aria-label", "Not drawn yet");
      call();
      draw();
    }

    // Both start again, untrained, from what is settled now; then they take the steps that were asked for.
    async function reset(steps = 0) {
      leave(steps);
      const mine = age;
      train ??= lab.startWorker();
      try {
        const { task, optimizer, rate, seed } = settings;
        const begun = await Promise.all(starts().map((state, name) =>
          train("train", { state, options: { name, task, optimizer, rate, dataSeed: seed } })));
        const drawn = mine === age && await both("surface", { grid: grid() });
        if (mine !== age) return;
        [seen, surfaces, losses, taken, data, ready] = [begun, drawn, [[], []], 0, begun[0].data, true];
      } catch (error) {
        if (mine !== age) return;
        leave();
        waiting = -1; // for the next press
        status.textContent = `The training could not begin: ${error.message}`;
        return;
      }
      place.setAttribute("aria-busy", "false");
      draw();
      say();
      go();
    }

    // Takes the steps that are asked for, once the networks are there and the steps before are done.
    async function go() {
      while (ready && asked && !busy) {
        const steps = Math.min(asked, MOST_STEPS - taken), all = asked === Infinity, mine = age;
        [asked, busy] = [0, true];
        if (!over()) await (all ? run() : advance(steps, true));
        busy = false;
        if (mine === age) { running = false; draw(false); say(); }
      }
    }

    // Some steps of both, with a look at the surfaces or without; false where something else has begun.
    async function advance(count, look) {
      const mine = age;
      let answer = null;
      try { answer = await both("step", { steps: count, grid: look ? grid() : 0 }); } catch (error) { status.textContent = error.message; }
      if (mine !== age || !answer) return false;
      answer.forEach((more, k) => losses[k].push(...more.losses));
      taken += count;
      seen = answer;
      if (look) surfaces = answer.map(({ surface }) => surface);
      draw(look);
      return true;
    }

    const steps = () => taken;
    const over = () => taken >= MOST_STEPS || (seen.length > 0 && seen.every(({ stopped }) => stopped));

    async function run() {
      const mine = age;
      running = true;
      draw();
      // With less motion the pictures change twice a second, else twenty times, if the steps are so fast.
      // A look at the surfaces may take as long as all steps since the last.
      const wanted = calm.matches ? 500 : 50;
      let count = 1, stepping = 0, looking = 0;
      while (mine === age && running && !over()) {
        const begun = performance.now(), look = stepping >= looking;
        if (!await advance(Math.min(count, MOST_STEPS - taken), look)) return;
        const took = performance.now() - begun;
        if (look) looking = took;
        stepping = look ? 0 : stepping + took;
        if (!look && took < wanted / 2) count *= 2; else if (!look && took > 2 * wanted) count = Math.max(1, count >> 1);
        await new Promise(calm.matches ? (done) => setTimeout(done, Math.max(0, wanted - took)) : requestAnimationFrame);
      }
      if (mine === age) await advance(0, true); // paused, and not by another network
    }

    // A press while something runs pauses it; another is taken back by the same one.
    function press(steps) {
      if (running) { running = false; return; }
      if (waiting) { reset(steps); return; }
      asked = asked === Infinity ? 0 : asked + steps;
      draw(false);
      go();
    }

    // --- its pictures

    const status = el("p", { class: "lab-status" }), heard = el("p", { class: "hidden", role: "status" });
    const runButton = el("button", { type: "button", class: "lab-run", onclick: () => press(Infinity) }, "Train");
    const stepButton = el("button", { type: "button", onclick: () => press(1) }, "One step");
    const resetButton = el("button", { type: "button", onclick: () => reset() }, "Reset");
    const panels = ["first", "second"].map((ink) => {
      const picture = lab.svg(), name = el("p", { class: `lab-key ${ink}` }), text = el("p", { class: "lab-loss" });
      return { picture, name, text, box: el("div", { class: "lab-panel" }, name, picture, text) };
    });
    const lossPicture = lab.svg(), ratioPicture = lab.svg();
    const pair = () => el("span", { class: "lab-keys" });
    const keys = [pair(), pair()];

    const measured = (k) => {
      const { loss, accuracy, stopped } = seen[k];
      if (stopped) return `stopped after step ${seen[k].steps}: ${stopped} not finite`;
      if (!Number.isFinite(loss)) return "outputs not finite: no loss";
      return `loss ${number(loss)}, ${Math.round(100 * accuracy)}% right`;
    };

    function say() {
      const done = over() && steps() ? (steps() >= MOST_STEPS ? " The lab stops here." : " Neither can go on.") : "";
      heard.textContent = `Step ${steps()}. ${called.map((name, k) => `${name}: ${measured(k)}`).join("; ")}.${done}`;
    }

    const call = () => {
      panels.forEach(({ name }, k) => { name.textContent = called[k]; });
      for (const key of keys) key.replaceChildren(...called.map((name, k) => el("span", { class: `lab-key ${["first", "second"][k]}` }, name)));
    };

    function draw(look = true) {
      runButton.textContent = running || asked === Infinity ? "Pause" : ready && steps() ? "Go on" : "Train";
      if (!ready || !place.clientWidth) return;
      status.textContent = steps() === 0 ? "Untrained: step 0" : `Step ${steps()}${over() ? ", the end" : ""}`;
      panels.forEach(({ picture, text }, k) => {
        text.textContent = measured(k);
        picture.setAttribute("aria-label", `What ${called[k]} answers over the plane after ${steps()} steps: ${measured(k)}`);
        if (look) surface(picture, surfaces[k], data);
      });
      // Of a long training every so many-th loss.
      const every = Math.max(1, Math.ceil(steps() / 400));
      const pick = (list) => list.filter((_, i) => i % every === 0).map(Math.log10);
      const curves = losses.map((list, k) => ({ logs: pick([...list, seen[k].loss]), ink: ["first", "second"][k] }));
      lossPicture.setAttribute("aria-label", `Loss over the steps. ${called.map((name, k) => `${name}: ${measured(k)}`).join("; ")}`);
      lab.lines(lossPicture, { xlabel: "step", height: 180, least: 2, every, first: 0, series: curves });
      const ratios = seen.map(({ ratio }, k) => ({ logs: ratio.map(Math.log10), ink: ["first", "second"][k] }));
      ratioPicture.setAttribute("aria-label", `Update-to-weight ratio by layer. ${called.map((name, k) =>
        `${name}: ${steps() ? reach(ratios[k].logs, written0) : "no step yet"}`).join("; ")}`);
      const none = { logs: Array(ratios[0].logs.length).fill(NaN) };
      lab.lines(ratioPicture, { xlabel: "layer", height: 180, series: steps() ? ratios : [none], note: steps() ? "" : "none before the first step" });
    }

    // Another network. Far from the screen there is no hurry.
    function settle() {
      leave();
      waiting = setTimeout(reset, near ? 250 : 1500);
    }

    function build() {
      const figure = (name, key, picture) => el("figure", { class: "lab-figure" },
        el("figcaption", {}, el("strong", {}, name), key), el("div", {}, picture));
      const versus = select("versus", "Against", Engine.SCHEMES);
      place.querySelector(".lab-still").hidden = true;
      place.append(el("div", { class: "lab-live" },
        el("form", { class: "lab-controls lab-row", onsubmit: (event) => event.preventDefault() },
          select("task", "Task", Engine.TASKS), select("optimizer", "Optimizer", Engine.OPTIMIZERS),
          slider("rate", "Learning rate", lab.log(1e-4, 1, 20)),
          versus, stdSlider("versus_std", "versus", "Its std")),
        el("div", { class: "lab-buttons", role: "group", "aria-label": "Training" }, runButton, stepButton, resetButton, status),
        heard,
        el("div", { class: "lab-panels" }, ...panels.map((panel) => panel.box)),
        el("p", { class: "lab-keys" }, el("span", { class: "lab-key class-0" }, "first class"), el("span", { class: "lab-key class-1" }, "second class"),
          el("span", {}, "the stronger the color, the surer the answer")),
        el("div", { class: "lab-two" }, figure("Loss", keys[0], lossPicture), figure("Update-to-weight ratio", keys[1], ratioPicture))));
      lab.whenWide(lossPicture.parentElement, draw);
      new IntersectionObserver(([entry]) => {
        near = entry.isIntersecting;
        if (near && waiting) reset();
      }, { rootMargin: "600px" }).observe(place);
    }

    return { build, settle };
  })();

  // The surface in squares of nine strengths, and the points on it: round ones and square ones.
  const LEVELS = 9;
  function surface(picture, { values, size, extent }, { x, y }) {
    const side = Math.max(picture.parentElement.clientWidth, 280), square = side / size, drawn = [];
    for (let row = 0; row < size; row += 1) {
      for (let from = 0, to = 0; from < size; from = to) { // squares of one strength are one box
        const level = levelOf(values[row * size + from]);
        for (to = from + 1; to < size && Object.is(levelOf(values[row * size + to]), level);) to += 1;
        if (level === 0) continue;
        const ink = Number.isNaN(level) ? "lost" : level > 0 ? "class-1" : "class-0";
        const strength = Number.isNaN(level) ? 0.5 : 0.55 * Math.abs(level) / LEVELS;
        drawn.push(`<rect class="${ink}" x="${(from * square).toFixed(2)}" y="${(row * square).toFixed(2)}"`
          + ` width="${((to - from) * square).toFixed(2)}" height="${square.toFixed(2)}" fill-opacity="${strength.toFixed(2)}"/>`);
      }
    }
    const at = (value) => (side * (value / extent + 1) / 2).toFixed(1);
    const paths = ["", ""];
    y.forEach((label, i) => { paths[label] += `M${at(x[i])} ${at(-x[y.length + i])}h0`; });
    paths.forEach((path, k) => drawn.push(`<path class="points class-${k} ground" d="${path}"/><path class="points class-${k}" d="${path}"/>`));
    picture.setAttribute("viewBox", `0 0 ${side} ${side}`);
    picture.innerHTML = drawn.join("");
  }
  const levelOf = (value) => (Number.isNaN(value) ? NaN : Math.round((2 * value - 1) * LEVELS) || 0);

  // --- Put together -------------------------------------------------------------------------------------

  root.querySelector(".lab-still").hidden = true;
  const group = (name, ...content) => el("fieldset", {}, el("legend", {}, name), ...content);
  const widths = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];
  root.append(el("div", { class: "lab-live" },
    presets(),
    el("div", { class: "lab-bench" },
      el("form", { class: "lab-controls", onsubmit: (event) => event.preventDefault() },
        group("Weights", select("scheme", "Scheme", Engine.SCHEMES), stdSlider("std", "scheme", "Std"), seedField()),
        group("Network", select("activation", "Activation", Engine.ACTIVATIONS),
          slider("depth", "Depth", lab.whole(1, 100), (value) => [plain(value), `${value} layers`]),
          slider("width", "Width", lab.list(widths), (value) => [plain(value), `${value} units`]),
          slider("scale", "Input scale", lab.log(0.01, 100, 20)),
          select("residual", "Residual", RESIDUALS), select("norm", "Normalization", NORMS))),
      el("div", { class: "lab-results" },
        message, printed, el("p", { class: "lab-said" }, verdict, " ", sentence), spoken,
        signalFigure(), shareFigure(), histogramFigure()))));
  training.build();

  addEventListener("hashchange", arrive);
  move();
  arrive();
})();
