// The book's search: the words, the ranking, the list of results, and the marks on arrival.
// book.js brings it when the field gets the focus, on the search page, and where words are to be
// marked. The index (searchindex.js) and MiniSearch come when somebody searches, and not before.
"use strict";

const bookSearch = (() => {

// --- Words ------------------------------------------------------------------------------------

// Letters, digits and "_", a point between digits, and the root, which is a word of its own.
const WORD = /√|[\p{L}\p{M}\p{Nd}_]+(?:\.\p{Nd}+)*/gu;
const STOP = new Set(("a about after all am an and any are as at be because been before being but by can could "
  + "did do does doing each few for from get gets had has have here how i if in into is it its just me more "
  + "most my no not of on only or our should so some such than that the their them then there these they "
  + "this those to too up us very was we were what when where which while who why will with would you your").split(" "));
const GREEK = { α: "alpha", β: "beta", γ: "gamma", δ: "delta", ε: "epsilon", λ: "lambda", μ: "mu", ξ: "xi",
  π: "pi", σ: "sigma", φ: "phi", χ: "chi", "√": "sqrt" };

// British spellings as the American ones. What is folded need not be a word, as long as both
// spellings become the same and no two words do.
function american(word) {
  return word
    .replace(/^(.{3,})our(s|ed|ing|able|al|ally|ite|ites)?$/, "$1or$2")
    .replace(/^(.{3,})is(e|es|ed|er|ers|ing|ation|ations)$/, "$1iz$2")
    .replace(/^(.{3,})ys(e|es|ed|er|ers|ing)$/, "$1yz$2")
    .replace(/^(.{3,})tre(s|d)?$/, "$1ter$2")
    .replace(/^grey/, "gray");
}

// A word without its ending: plural, -ed, -ing, -ly, -ion, and the -er of -izer.
function stem(word) {
  word = american(word);
  if (word.length < 4 || /\d/.test(word)) return word;
  if (/[^s]s$/.test(word) && !/(?:i|ia)s$/.test(word)) word = word.slice(0, -1).replace(/ie$/, "y");
  word = word.replace(/^(.{4,})ly$/, "$1").replace(/iz(?:ation|er)$/, "iz").replace(/^(.{2,}t)ion$/, "$1");
  const [, root] = word.match(/^(.*[aeiouy].*)(?<!e)(?:ed|ing)$/) ?? [];
  if (root?.length >= 3) word = root;
  if (word.length > 3) word = word.replace(/e$/, "").replace(/y$/, "i");
  return word.replace(/([bdfglmnprt])\1$/, "$1");
}

// What a written word is found by: itself, and for a name such as he_normal or HeNormal its parts.
function forms(written) {
  return known.get(written) ?? known.set(written, formsAnew(written)).get(written);
}
const known = new Map(); // a book has few words, and most of them often

function formsAnew(written) {
  const word = (GREEK[written] ?? written).normalize("NFKD").replace(/\p{M}/gu, "");
  const lower = word.toLowerCase().replace(/^_+|_+$/g, "");
  const cut = /^(?:[A-Z][a-z]+){2,}$/.test(word) ? word.replace(/(?<=[a-z])(?=[A-Z])/g, "_") : lower;
  const parts = cut.toLowerCase().split("_").filter(Boolean).map((part) => stem(GREEK[part] ?? part));
  return parts.length > 1 ? [lower, ...parts] : parts;
}

const wordsOf = (text) => text.match(WORD) ?? [];
const termsOf = (text) => wordsOf(text).flatMap(forms);

// How many letters to add, drop, change or exchange with their neighbour: at most `most`, or more.
function distance(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before = [], last = [...Array(b.length + 1).keys()];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] !== b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    if (Math.min(...row) > most) return most + 1;
    [before, last] = [last, row];
  }
  return last[b.length];
}

// --- Ranking ----------------------------------------------------------------------------------

const BOOST = { heading: 5, page: 2, text: 1, code: 0.5 };
const LESS = { synonym: 0.9, parts: 0.8, prefix: 0.7, typo: 0.6 };
const PAIR = 1.3; // the factor for two words of the query that stand side by side
const NEAR = 0.5; // a word that stands elsewhere on the page is half found: the page is about it
const WHOLE = 2; // the power of the share of the query that is found
const SNIPPET = 220, BEFORE = 50; // letters

class Finder {
  constructor({ pages, places, synonyms }, MiniSearch) {
    this.places = places.map(([page, anchor, title, text, code, keywords, weight], id) => (
      { id, file: pages[page][0], number: pages[page][1], page: pages[page][2], anchor, title, text, code, keywords, weight }));
    this.written = new Map(); // how each term is written most often
    const counts = new Map();
    const tokenize = (text) => wordsOf(text).flatMap((word) => {
      const terms = forms(word);
      if (terms.length === 1) {
        const seen = counts.get(terms[0]) ?? counts.set(terms[0], new Map()).get(terms[0]);
        seen.set(word.toLowerCase(), (seen.get(word.toLowerCase()) ?? 0) + 1);
      } else if (terms.length) this.written.set(terms[0], word);
      return terms;
    });
    this.index = new MiniSearch({ fields: Object.keys(BOOST), tokenize, processTerm: (term) => term,
      searchOptions: { boost: BOOST, tokenize: (text) => text.split(" "), combineWith: "AND" } });
    for (const place of this.places) {
      place.heading = `${place.title}, ${place.keywords}`; // the author's words count as the heading's
      const terms = wordsOf(`${place.heading} ${place.text}`).map((word) => forms(word)[0]);
      place.pairs = new Set(terms.slice(1).map((term, i) => `${terms[i]} ${term}`));
      place.entry = place.weight < 1 && place.file.startsWith("book/");
    }
    this.index.addAll(this.places.map((place) => place.anchor ? place : { ...place, page: "" }));
    for (const [term, seen] of counts) {
      this.written.set(term, [...seen].sort((a, b) => b[1] - a[1])[0][0]);
    }
    this.synonyms = new Map(Object.entries(synonyms).map(([word, others]) => (
      [forms(word)[0], [others].flat().map((other) => termsOf(other).join(" "))])));
  }

  // What to look for where a query has this word: terms, how much they count, and how they came in.
  ways(written) {
    const [term, ...parts] = forms(written);
    const synonyms = (this.synonyms.get(term) ?? []).map((terms) => ({ terms, less: LESS.synonym }));
    if (this.written.has(term)) return [{ terms: term, less: 1 }, ...synonyms];
    if (synonyms.length) return synonyms;
    if (parts.length && parts.every((part) => this.written.has(part))) return [{ terms: parts.join(" "), less: LESS.parts }];
    if (term.length >= 3 && [...this.written.keys()].some((known) => known.startsWith(term))) {
      return [{ terms: term, less: LESS.prefix, prefix: true }];
    }
    return this.nearest(term).map((terms) => ({ terms, less: LESS.typo, instead: true }));
  }

  // The known terms with the fewest slips between them and this one.
  nearest(term, most = term.length < 4 ? 0 : term.length < 6 ? 1 : 2) {
    let found = [], least = most;
    if (!most || /\d/.test(term)) return [];
    for (const known of this.written.keys()) {
      const far = /\d/.test(known) ? most + 1 : distance(term, known, least);
      if (far < least) [found, least] = [[], far];
      if (far === least) found.push(known);
    }
    return found.slice(0, 5);
  }

  // For a word that leads nowhere: words that look somewhat like it.
  suggest(word) {
    const [term] = forms(word);
    return this.nearest(term, Math.floor(term.length / 2)).map((known) => this.written.get(known));
  }

  find(query) {
    const written = [...new Map(wordsOf(query).filter((word) => forms(word).length).map((word) => [forms(word)[0], word])).values()];
    const telling = written.filter((word) => !STOP.has(word.toLowerCase()));
    const words = telling.length ? telling : written;
    const scores = new Map(), onPage = words.map(() => new Set()), instead = [], unknown = [];
    for (const [i, word] of words.entries()) {
      const ways = this.ways(word);
      if (!ways.length) unknown.push(word);
      if (ways[0]?.instead) instead.push([word, this.written.get(ways[0].terms)]);
      for (const { terms, less, prefix } of ways) {
        for (const { id, score, terms: matched } of this.index.search(terms, { prefix })) {
          const hit = scores.get(id) ?? scores.set(id, { by: [], terms: new Set() }).get(id);
          hit.by[i] = Math.max(hit.by[i] ?? 0, score * less);
          for (const term of matched) hit.terms.add(term);
          onPage[i].add(this.places[id].file);
        }
      }
    }
    const pairs = words.slice(1).map((word, i) => `${forms(words[i])[0]} ${forms(word)[0]}`);
    const hits = [...scores].map(([id, { by, terms }]) => {
      const place = this.places[id];
      const has = words.map((_, i) => by[i] ? 1 : place.entry ? 0 : NEAR * onPage[i].has(place.file));
      const all = has.reduce((sum, one) => sum + one, 0) / words.length;
      const sum = by.reduce((total, score) => total + score, 0);
      const beside = pairs.filter((pair) => place.pairs.has(pair)).length;
      return { place, terms, score: sum * all ** WHOLE * PAIR ** beside * place.weight };
    });
    hits.sort((a, b) => b.score - a.score);
    return { hits, words, instead, unknown };
  }
}

// --- Where words are ----------------------------------------------------------------------------

// The words of a text, each with where it begins and whether it is one of the terms.
function spell(text, terms) {
  return [...text.matchAll(WORD)].map(({ 0: word, index }) => (
    { at: index, end: index + word.length, term: forms(word).find((form) => terms.has(form)) }));
}

// A text as nodes, with the terms marked.
function marked(text, terms, from = 0, to = text.length) {
  const nodes = document.createDocumentFragment();
  let done = from;
  for (const { at, end, term } of spell(text, terms)) {
    if (!term || at < from || end > to) continue;
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, end);
    nodes.append(text.slice(done, at), mark);
    done = end;
  }
  nodes.append(text.slice(done, to));
  return nodes;
}

// The stretch of a text that has the most of the terms in it.
function snippet(text, terms) {
  const words = spell(text, terms);
  let best = { count: 0, from: 0 };
  for (const first of words.filter(({ term }) => term)) {
    const within = words.filter(({ at, end, term }) => term && at >= first.at && end <= first.at + SNIPPET - BEFORE);
    const count = new Set(within.map(({ term }) => term)).size;
    if (count > best.count) best = { count, from: first.at - BEFORE };
  }
  const from = words.find(({ at }) => at >= best.from)?.at ?? 0;
  const start = best.from > 0 ? from : 0;
  const to = words.findLast(({ end }) => end <= start + SNIPPET)?.end ?? text.length;
  const stop = text.length - to < 20 ? text.length : to;
  const nodes = marked(text, terms, start, stop);
  if (start) nodes.prepend("… ");
  if (stop < text.length) nodes.append(" …");
  return nodes;
}

return { Finder, forms, spell, marked, snippet };
})();

// --- On the page ----------------------------------------------------------------------------------

if (typeof document === "object") (() => {
  const root = document.documentElement.dataset.content_root ?? "./";
  const form = document.querySelector(".find");
  const field = form.querySelector("input");
  const help = document.getElementById("search-help"); // on the search page alone
  const MOST = help ? 20 : 6;

  const make = (name, props = {}, ...children) => {
    const element = Object.assign(document.createElement(name), props);
    element.append(...children);
    return element;
  };
  const load = (path) => new Promise((resolve, reject) => {
    document.head.append(make("script", { src: root + path, onload: resolve, onerror: reject }));
  });
  let finder;
  const ready = () => finder ??= Promise.all(["searchindex.js", "_static/minisearch/minisearch.js"].map(load))
    .then(() => new bookSearch.Finder(window.bookIndex, window.MiniSearch));

  // The results: a list on the search page, a box below the field elsewhere.
  const box = document.getElementById("search") ?? make("div", { className: "found", hidden: true });
  const status = make("p"), list = make("ol", { className: "results", hidden: true }), more = make("p", { className: "more" });
  status.setAttribute("role", "status");
  box.append(status, list, more);
  if (!box.isConnected) form.append(box);

  function result({ place, terms }) {
    const words = [...terms].map((term) => built.written.get(term)).join(" ");
    const href = `${root}${place.file}.html?${new URLSearchParams({ mark: words })}${place.anchor && "#" + place.anchor}`;
    const link = make("a", { href }, bookSearch.marked(place.title, terms));
    const page = place.anchor ? make("span", { className: "where" }, `${place.number && place.number + ". "}${place.page}`) : "";
    return make("li", {}, link, " ", page, make("p", {}, bookSearch.snippet(place.text, terms)));
  }

  // What the search has to say beside the results, in sentences.
  function remarks({ hits, words, instead, unknown }) {
    const said = [];
    if (hits.length > MOST) said.push(`The ${MOST} best of ${hits.length} places.`);
    else if (hits.length) said.push(hits.length === 1 ? "One place." : `${hits.length} places.`);
    for (const [typed, taken] of instead) said.push(`No page has “${typed}”: taken as “${taken}”.`);
    if (!hits.length) said.push(`Nothing found for “${words.join(" ") || field.value}”.`);
    else for (const word of unknown) said.push(`No page has “${word}”.`);
    return said.join(" ");
  }

  function ask(query) {
    return make("a", { href: `${root}search.html?${new URLSearchParams({ q: query })}` }, query);
  }

  let built;
  async function show() {
    const query = field.value;
    const empty = !query.trim();
    if (help) document.title = document.title.replace(/^.*?(?=Search)/, empty ? "" : `${query} · `);
    if (!empty) {
      try { built = await ready(); } catch { status.textContent = "The index did not load: is the copy of the book whole?"; }
      if (query !== field.value) return; // typed on, meanwhile
    }
    const found = empty || !built ? { hits: [], words: [] } : built.find(query);
    list.replaceChildren(...found.hits.slice(0, MOST).map(result));
    list.hidden = !found.hits.length;
    more.replaceChildren();
    if (!empty && built) {
      status.textContent = remarks(found);
      const near = found.hits.length ? [] : found.words.flatMap((word) => built.suggest(word)).slice(0, 4);
      near.forEach((word, i) => more.append(i ? ", " : "Did you mean ", ask(word), i === near.length - 1 ? "? " : ""));
      if (!help && found.hits.length > MOST) more.append(make("a", { href: ask(query).href }, "More places"));
      if (!help && !found.hits.length) {
        more.append("Terms are in the ", make("a", { href: `${root}book/glossary.html` }, "glossary"), ", functions in the ",
          make("a", { href: `${root}book/api.html` }, "API"), ".");
      }
    } else if (empty) status.textContent = "";
    if (help) help.hidden = found.hits.length > 0;
    else box.hidden = empty;
  }

  // The query stays in the address. What is typed after an entry of the history begins another.
  let kept = true;
  function keep() {
    if (!help) return;
    const url = new URL(location.href);
    if (field.value) url.searchParams.set("q", field.value);
    else url.searchParams.delete("q");
    if (url.href === location.href) return;
    history[kept && new URLSearchParams(location.search).has("q") ? "pushState" : "replaceState"](null, "", url);
    kept = false;
  }
  function take() {
    field.value = new URLSearchParams(location.search).get("q") ?? "";
    kept = true;
    return show();
  }

  field.addEventListener("focus", ready);
  field.addEventListener("input", () => { keep(); show(); });
  field.addEventListener("focus", () => { if (!help) show(); });
  if (help) {
    form.addEventListener("submit", (event) => { event.preventDefault(); keep(); kept = true; show(); });
    addEventListener("popstate", take);
    take();
  } else {
    if (document.activeElement === field) { ready(); show(); }
    document.addEventListener("pointerdown", (event) => { if (!form.contains(event.target)) box.hidden = true; });
    form.addEventListener("focusout", (event) => { if (event.relatedTarget && !form.contains(event.relatedTarget)) box.hidden = true; });
  }

  // The arrows go from the field to the results and among them, Escape back to the field.
  document.addEventListener("keydown", (event) => {
    const links = [field, ...box.querySelectorAll(".results a, .more a")];
    const at = links.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey || !(step || event.key === "Escape")) return;
    if (box.hidden) {
      if (step === 1) show();
      return;
    }
    event.preventDefault(); // Escape would empty the field
    if (step) links[at + step]?.focus();
    else if (at || help) field.focus();
    else box.hidden = true;
  });

  // --- On arrival -----------------------------------------------------------------------------

  function markPlace(words) {
    const terms = new Set(words.split(" ").flatMap((word) => bookSearch.forms(word).slice(0, 1)));
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const scopes = !target ? [document.querySelector("article")]
      : target.matches("dt") ? [target, target.nextElementSibling] : [target.closest("section, details")];
    for (const scope of scopes) {
      const walker = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT, (node) => (
        node.parentElement.closest(".katex, .headerlink, button, svg, script, style") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT));
      const texts = [];
      while (walker.nextNode()) texts.push(walker.currentNode);
      for (const text of texts) {
        if (bookSearch.spell(text.data, terms).some(({ term }) => term)) text.replaceWith(bookSearch.marked(text.data, terms));
      }
    }
    const marks = [...document.querySelectorAll("article mark")];
    return { target, marks };
  }

  function arrive(words) {
    const { target, marks } = markPlace(words);
    if (!marks.length) return;
    const body = marks.filter((mark) => !mark.closest("h1, h2, h3, h4, dt"));
    const first = body.find((mark) => mark.checkVisibility()) ?? body[0] ?? marks[0];
    const fold = first.closest("details:not([open])");
    if (fold) fold.open = true;
    // The heading stays in view with the first mark, where the screen is high enough for both.
    const look = () => {
      target?.scrollIntoView({ behavior: "instant", block: "start" });
      if (first.getBoundingClientRect().bottom > innerHeight - 40) first.scrollIntoView({ behavior: "instant", block: "center" });
    };
    look();
    let moved = false;
    for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) addEventListener(kind, () => { moved = true; }, { once: true, passive: true });
    const loaded = new Promise((done) => { document.readyState === "complete" ? done() : addEventListener("load", done); });
    Promise.all([document.fonts?.ready, loaded]).then(() => { if (!moved) look(); });

    const button = make("button", { type: "button", className: "unmark" },
      marks.length === 1 ? "Remove the mark" : `Remove the ${marks.length} marks`);
    const clear = () => {
      for (const mark of marks) { const parent = mark.parentNode; mark.replaceWith(...mark.childNodes); parent.normalize(); }
      button.remove();
      removeEventListener("keydown", escape);
      const url = new URL(location.href);
      url.searchParams.delete("mark");
      history.replaceState(null, "", url);
    };
    const escape = (event) => { if (event.key === "Escape" && !form.contains(event.target)) clear(); };
    button.addEventListener("click", clear);
    addEventListener("keydown", escape);
    document.body.append(button);
  }
  const words = new URLSearchParams(location.search).get("mark");
  if (words) arrive(words);
})();

if (typeof module === "object") module.exports = bookSearch;
