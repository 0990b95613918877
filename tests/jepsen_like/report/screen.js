"use strict";
// Enough of a browser for page.js: one canvas that counts what is drawn on it. Arguments: the page's data, the script.
const fs = require("fs");
const vm = require("vm");
let rectangles = 0;
const brush = new Proxy({}, { get: (_, name) => (name === "fillRect" ? () => { rectangles++; } : () => {}), set: () => true });
const canvas = { style: {}, getContext: () => brush, addEventListener: () => {} };
const tip = { style: {} };
const box = { clientWidth: 1000, querySelector: (name) => (name === "canvas" ? canvas : tip), scrollIntoView: () => {} };
const clicks = {};
const button = (id) => ({ addEventListener: (_, act) => { clicks[id] = act; } });
const source = { textContent: fs.readFileSync(process.argv[2], "utf8") };
const found = { data: source, timeline: box, scatter: box };
const window = { addEventListener: () => {}, devicePixelRatio: 1 };
const document = { documentElement: {}, getElementById: (id) => found[id] || button(id), querySelectorAll: () => [] };
const world = {
  window, document, JSON, Math, Number, String, Set, Map, Float64Array, console,
  getComputedStyle: () => ({ getPropertyValue: () => "#000" }),
  requestAnimationFrame: (paint) => paint(),
  atob: (text) => Buffer.from(text, "base64").toString("latin1"),
};
vm.runInNewContext(fs.readFileSync(process.argv[3], "utf8"), world);
const end = JSON.parse(source.textContent).end;
const seen = [[0, end], [end / 2, end / 2 + end / 1000], [0, 5]].map(([from, to]) => { window.look(from, to); return [from, to, window.drawn()]; });
["closer", "wider", "earlier", "later", "up", "down", "whole"].forEach((id) => clicks[id]());
console.log(JSON.stringify({ seen, after: window.drawn(), rectangles }));
