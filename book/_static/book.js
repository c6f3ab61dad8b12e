// What a page does beyond reading. Everything can be read, opened and reached without it.
"use strict";

const root = document.documentElement;

// Colors: as the system, until the button asks for the others. The choice is kept.
const themeButton = document.querySelector(".theme-button");
const themeName = document.querySelector("[data-theme-name]");
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function otherTheme() {
  const seen = root.dataset.theme || (systemDark.matches ? "dark" : "light");
  return seen === "dark" ? "light" : "dark";
}
function nameTheme() {
  themeName.textContent = themeButton.title = `Switch to ${otherTheme()} colors`;
}

themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  const wanted = otherTheme();
  root.dataset.theme = wanted === (systemDark.matches ? "dark" : "light") ? "" : wanted;
  try { localStorage.theme = root.dataset.theme; } catch { /* a browser may refuse to store */ }
  nameTheme();
});
systemDark.addEventListener("change", nameTheme);
nameTheme();

// "/" and Ctrl+K go to the search field.
const field = document.querySelector(".find input");
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
  const ctrlK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
  if (slash || ctrlK) {
    event.preventDefault();
    field.focus();
    field.select();
  }
});

// The search comes when the field gets the focus, and on arrival from it, to mark the words.
function bringSearch() {
  if (document.querySelector("script[src$='search.js']")) return;
  const folder = `${root.dataset.content_root}_static/`;
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${folder}search.css` }),
    Object.assign(document.createElement("script"), { src: `${folder}search.js` }));
}
field.addEventListener("focus", bringSearch);
if (/[?&]mark=/.test(location.search)) bringSearch();

// The contents begin where the reader is.
const contents = document.getElementById("contents");
const here = contents.querySelector("[aria-current='page']");
function showHere() {
  if (here) contents.scrollTop = here.offsetTop - contents.clientHeight / 3;
}
contents.addEventListener("toggle", showHere);
showHere();

// A link to a place on this page closes the contents that cover it.
contents.addEventListener("click", (event) => {
  if (event.target.closest("a[href^='#']") && contents.matches(":popover-open")) {
    contents.hidePopover();
  }
});

// The contents mark the section that is being read.
const links = new Map(
  [...document.querySelectorAll(".nav-sections a")].map((a) => [a.hash.slice(1), a]));
const sections = [...document.querySelectorAll("article section[id]")].filter((s) => links.has(s.id));
function markSection() {
  const line = innerHeight / 3;
  const current = sections.findLast((section) => section.getBoundingClientRect().top < line);
  for (const [id, link] of links) {
    if (id === current?.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
if (sections.length) {
  let waiting = false;
  document.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; markSection(); });
  }, { passive: true });
  markSection();
}

// What is too wide for the screen scrolls inside its box: the keyboard must reach the box. This is found
// section by section, when there is nothing else to do: all at once would ask for a layout of the whole page.
const wide = new Map();
for (const box of document.querySelectorAll("article pre, .pst-scrollable-table-container, .cell_output .text_html, .katex-display")) {
  const section = box.closest("article > section > section");
  wide.set(section, [...wide.get(section) ?? [], box]);
}
const whenIdle = globalThis.requestIdleCallback ?? setTimeout;
let unmeasured = [];
function reachable() {
  if (!unmeasured.length) whenIdle(measureNext);
  unmeasured = [...wide.values()];
  root.dataset.measuring = "";
}
function measureNext() {
  measure(unmeasured.shift() ?? []);
  if (unmeasured.length) whenIdle(measureNext);
  else delete root.dataset.measuring;
}
function measure(boxes) {
  // First all that is read, then all that is written: in turns, each box would cost a layout.
  const scrolls = boxes.map((box) => box.scrollWidth > box.clientWidth + 1);
  boxes.forEach((box, i) => {
    if (scrolls[i] === (box.tabIndex === 0) && box.style.overflowX) return;
    box.style.overflowX = scrolls[i] ? "auto" : "hidden"; // half a pixel too much is no stop for Tab
    if (scrolls[i]) {
      const what = box.matches("pre") ? "Code" : box.matches(".katex-display") ? "Formula" : "Table";
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", `${what}, scrolls sideways`);
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  });
}
let width = 0; // the height changes whenever a section comes into view
new ResizeObserver(() => { if (width !== (width = root.clientWidth)) reachable(); }).observe(document.body);
document.fonts?.ready.then(reachable);
document.addEventListener("toggle", reachable, true);
document.addEventListener("change", reachable); // another tab

// A phone guesses the heights of sections that it has not laid out (see book.css). Who begins to scroll may load
// the page again or come back to it, to a place that is told in pixels: so from then on each gets its true one.
function layOut(parts) {
  const part = parts.shift();
  if (part) {
    part.style.contentVisibility = "visible";
    whenIdle(() => layOut(parts));
  } else {
    root.dataset.whole = "";
  }
}
document.addEventListener("scroll", () => layOut([...document.querySelectorAll("article > section > section")]),
  { once: true, passive: true });
// And who goes on by keys at once: what is in focus must not move away while sections above it grow.
document.addEventListener("keydown", () => { root.dataset.whole = ""; }, { once: true });

// Code can be copied, where the browser lets a page do so.
if (navigator.clipboard) {
  const said = document.createElement("span"); // for who does not see the button's text change
  said.className = "hidden";
  said.setAttribute("role", "status");
  document.querySelector("main").append(said);
  for (const code of document.querySelectorAll(".cell_input .highlight, .colab .highlight")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy this code");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.querySelector("pre").textContent);
      button.textContent = said.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
    });
    code.append(button);
  }
}

// A citation says what it names: under the mouse, with the focus, and at the first tap. Its link
// leads to the bibliography. Escape takes the card away, and the mouse may move onto it.
const citations = [...document.querySelectorAll("article a[href*='bibliography.html#'][title]")];
if (citations.length && HTMLElement.prototype.showPopover) {
  const card = document.createElement("div");
  card.className = "source";
  card.popover = "manual";
  card.setAttribute("aria-hidden", "true"); // read out is the link's description
  document.body.append(card);
  let shownFor = null, leaving;
  const hide = () => { shownFor = null; if (card.matches(":popover-open")) card.hidePopover(); };
  const hideSoon = () => { leaving = setTimeout(hide, 250); };
  const stay = () => clearTimeout(leaving);
  const show = (link) => {
    stay();
    shownFor = link;
    card.textContent = link.getAttribute("aria-description");
    if (!card.matches(":popover-open")) card.showPopover();
    const at = link.getClientRects()[0], { width, height } = card.getBoundingClientRect();
    const fits = at.bottom + height + 8 < innerHeight;
    card.style.left = `${scrollX + Math.max(8, Math.min(at.left, root.clientWidth - width - 8))}px`;
    card.style.top = `${scrollY + (fits ? at.bottom + 6 : at.top - height - 6)}px`;
  };
  for (const link of citations) {
    link.setAttribute("aria-description", link.title);
    link.removeAttribute("title"); // else the browser shows it once more
    link.addEventListener("pointerenter", (event) => { if (event.pointerType !== "touch") show(link); });
    link.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hideSoon(); });
    link.addEventListener("focus", () => { if (link.matches(":focus-visible")) show(link); });
    link.addEventListener("blur", hide);
    link.addEventListener("click", (event) => {
      if (event.pointerType !== "touch" || shownFor === link) return;
      event.preventDefault();
      show(link);
    });
  }
  card.addEventListener("pointerenter", stay);
  card.addEventListener("pointerleave", hideSoon);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("pointerdown", (event) => {
    if (shownFor && !shownFor.contains(event.target) && !card.contains(event.target)) hide();
  });
}

// On paper every fold is open; what was closed closes again.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const fold of opened) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of opened) fold.open = false;
  delete root.dataset.solutions;
});

// A chapter prints with its solutions and answers or, as a handout, without them.
const printing = document.querySelector(".chapter-facts .print");
if (printing) {
  printing.hidden = false;
  for (const button of printing.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      if (button.dataset.solutions) root.dataset.solutions = button.dataset.solutions;
      print();
    });
  }
}

// A link to something inside a fold opens the fold.
function unfold() {
  if (!location.hash) return;
  let name = location.hash.slice(1);
  try { name = decodeURIComponent(name); } catch { /* no such place */ }
  const target = document.getElementById(name);
  const fold = target?.closest("details");
  if (fold && !fold.open) {
    fold.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", unfold);
unfold();
